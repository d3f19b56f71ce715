//! Members: an account is made, somebody signs in, sets a new password, signs out.
//!
//! Whether an address has an account shows in none of the answers: one that has none gets a code that nothing is right for.

use std::time::Duration;

use serde_json::json;

use super::Trail;
use super::signup::{NetworkLimit, full, limited};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{ChallengeId, MemberId, MemberSessionId};
use crate::limit::Recipient;
use crate::member::{CodeUse, Guess, Member, MemberCode, MemberSession, MemberSignIn, SESSIONS, SIGN_INS};
use crate::notice::{Envelope, INSTALLATION, Notice};
use crate::passcode::TypedCode;
use crate::secret::{Sealed, TenantKeys};
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::totp::TotpDevice;

/// Codes of one use to one address within an hour.
const CODES_PER_ADDRESS: u32 = 5;
/// Wrong passwords for one address within [`PASSWORDS_COUNTED_FOR`]; codes go on working.
const PASSWORDS_PER_ADDRESS: usize = 5;
const PASSWORDS_COUNTED_FOR: Duration = Duration::from_secs(15 * 60);

/// Whose address a command is about.
#[derive(Clone, Copy)]
pub(crate) struct Addressed {
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub network: Option<NetworkLimit>,
}

impl Addressed {
    fn reads(&self, more: impl IntoIterator<Item = Read>) -> Reads {
        let mut wanted = vec![Read::alias::<Member>(self.subject.as_bytes())];
        wanted.extend(self.network.iter().flat_map(NetworkLimit::reads));
        wanted.extend(more);
        Reads { scope: Scope::Subject(INSTALLATION.tenant, self.bucket), wanted }
    }

    fn code(&self, of_use: CodeUse) -> Read {
        Read::Record(MemberCode::key_of(&self.subject, of_use))
    }

    fn check(&self, seen: &Snapshot) -> Result<(), Error> {
        self.network.as_ref().map_or(Ok(()), |network| network.check(seen))
    }

    /// The try itself, which counts whatever comes of it.
    fn counted(&self, seen: &Snapshot) -> Changes {
        let mut changes = Changes::none();
        changes.adds.extend(self.network.as_ref().map(|network| network.add(seen)));
        changes
    }
}

/// What the store may be asked beforehand, so that nobody makes it hash for nothing. What is decided later is exact.
pub(crate) fn check_passwords(recipient: Option<&Recipient>, now: Timestamp) -> Result<(), Error> {
    let Some(recipient) = recipient else { return Ok(()) };
    let counted: Vec<_> = recipient.wrong_guesses.recent(now).filter(|at| *at + PASSWORDS_COUNTED_FOR > now).collect();
    match counted.len().checked_sub(PASSWORDS_PER_ADDRESS) {
        Some(first) => Err(limited(PASSWORDS_PER_ADDRESS as u32, counted[first] + PASSWORDS_COUNTED_FOR, now)),
        None => Ok(()),
    }
}

/// Mails a code.
pub(crate) struct SendCode {
    pub of: Addressed,
    pub code: MemberCode,
    pub envelope: Envelope,
}

impl Command for SendCode {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        self.of.reads([self.of.code(self.code.of_use)])
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let now = self.code.created_at;
        let mut asked = seen.one::<MemberCode>().map(|before| before.asked.clone()).unwrap_or_default();
        if let Err(refused) = self.of.check(seen).and_then(|()| full(&asked, CODES_PER_ADDRESS, now)) {
            return (Err(refused), Changes::none());
        }
        asked.push(now);
        let is_known = seen.one::<Member>().is_some();
        let decoy = is_known == (self.code.of_use == CodeUse::Register);
        let mut changes = self.of.counted(seen);
        match (decoy, self.code.of_use) {
            (false, _) => changes.put(self.envelope.around(&self.notice())),
            (true, CodeUse::Register) => changes.put(self.envelope.around(&Notice::SignupKnown {})),
            // There is nobody to be told.
            (true, _) => {}
        }
        changes.put(MemberCode { asked, decoy, ..self.code.clone() });
        (Ok(()), changes)
    }
}

impl SendCode {
    fn notice(&self) -> Notice {
        let MemberCode { id, kid, of_use, expires_at, .. } = self.code;
        Notice::MemberCode { code: id, kid, of_use, expires_at }
    }
}

/// Judges a code, and lets a wrong guess count.
fn spend(
    seen: &Snapshot,
    keys: &TenantKeys,
    typed: &TypedCode,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<ChallengeId, Error> {
    match MemberCode::judge(seen.one::<MemberCode>(), keys, typed, now) {
        Guess::Right(spent) => {
            let id = spent.id;
            changes.put(spent);
            Ok(id)
        }
        Guess::Wrong(counted) => {
            changes.puts.extend(counted.map(Into::into));
            Err(Error::SignInRefused)
        }
    }
}

/// An account is made, of what was registered.
pub(crate) struct ConfirmMember {
    pub of: Addressed,
    pub keys: TenantKeys,
    pub typed: TypedCode,
    /// Made beforehand, of the code that was seen then.
    pub member: Option<(ChallengeId, Box<Member>)>,
    pub trail: Trail,
}

impl Command for ConfirmMember {
    type Outcome = Result<Member, Error>;

    fn reads(&self) -> Reads {
        self.of.reads([self.of.code(CodeUse::Register)])
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if let Err(refused) = self.of.check(seen) {
            return (Err(refused), Changes::none());
        }
        let mut changes = self.of.counted(seen);
        let spent = match spend(seen, &self.keys, &self.typed, self.trail.at, &mut changes) {
            Ok(spent) => spent,
            Err(refused) => return (Err(refused), changes),
        };
        // A signup of the same address may have been confirmed meanwhile.
        let member = self.member.as_ref().filter(|(code, _)| *code == spent && seen.one::<Member>().is_none());
        let Some((_, member)) = member else { return (Err(Error::SignInRefused), changes) };
        let member = Member::clone(member);
        changes.create(member.clone());
        changes.put(self.trail.line(INSTALLATION.tenant, Action::MemberRegistered, member.id, json!({})));
        (Ok(member), changes)
    }
}

/// What somebody shows to be let in.
pub(crate) enum Shown {
    /// A password, compared beforehand: whose hash it is, if it is anybody's.
    Password(Option<Sealed>),
    /// A code.
    Code(TypedCode),
}

/// Lets a member in.
pub(crate) struct SignInMember {
    pub of: Addressed,
    pub keys: TenantKeys,
    pub shown: Shown,
    /// Of the member that was seen beforehand, if there was one.
    pub next: Option<NextOfMember>,
    pub trail: Trail,
}

/// What a sign-in goes on with: one of the two.
pub(crate) struct NextOfMember {
    pub session: MemberSession,
    /// Where a second factor has to follow.
    pub half: MemberSignIn,
}

/// How far a sign-in has come.
pub(crate) enum LetIn {
    Wholly(Box<(Member, MemberSession)>),
    /// The second factor is to follow.
    Half(MemberSignIn),
}

impl Command for SignInMember {
    type Outcome = Result<LetIn, Error>;

    fn reads(&self) -> Reads {
        let of_member = |next: &NextOfMember| [sessions_of(next.session.member), half_sign_ins_of(next.session.member)];
        let recipient = Read::Record(Recipient::key_of(INSTALLATION, &self.of.bucket));
        let device = Read::Record(TotpDevice::key_of(INSTALLATION, &self.of.subject));
        let known = self.next.iter().flat_map(of_member);
        self.of.reads([self.of.code(CodeUse::SignIn), recipient, device].into_iter().chain(known))
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = self.of.counted(seen);
        let admitted = self.of.check(seen).and_then(|()| match &self.shown {
            Shown::Password(right) => self.admit(seen, right.as_ref(), &mut changes),
            Shown::Code(typed) => spend(seen, &self.keys, typed, self.trail.at, &mut changes).map(drop),
        });
        if let Err(refused) = admitted {
            let is_limit = matches!(refused, Error::RateLimited(_));
            return (Err(refused), if is_limit { Changes::none() } else { changes });
        }
        let member = seen.one::<Member>();
        let next = self.next.as_ref().filter(|next| member.is_some_and(|member| member.id == next.session.member));
        let (Some(member), Some(next)) = (member, next) else { return (Err(Error::SignInRefused), changes) };
        (Ok(self.go_on(seen, member, next, &mut changes)), changes)
    }
}

impl SignInMember {
    /// A session, or for a member with a second factor what it goes on with.
    fn go_on(&self, seen: &Snapshot, member: &Member, next: &NextOfMember, changes: &mut Changes) -> LetIn {
        let by = if matches!(self.shown, Shown::Code(_)) { "code" } else { "password" };
        let line = |action, told| self.trail.line(INSTALLATION.tenant, action, member.id, told);
        let NextOfMember { session, half } = next;
        if seen.one::<TotpDevice>().and_then(TotpDevice::enabled_at).is_some() {
            changes.deletes.extend(oldest_of(seen.all::<MemberSignIn>().collect(), SIGN_INS - 1));
            changes.create(half.clone());
            changes.put(line(Action::SecondFactorAwaited, json!({"by": by})));
            return LetIn::Half(half.clone());
        }
        changes.deletes.extend(seen.all::<MemberSession>().skip(SESSIONS - 1).map(Stored::key));
        changes.create(session.clone());
        changes.put(line(Action::MemberSignedIn, json!({"sessionId": session.id, "by": by})));
        LetIn::Wholly(Box::new((member.clone(), session.clone())))
    }

    /// The password has to be right for the member as it is now, and not as it was seen beforehand.
    fn admit(&self, seen: &Snapshot, right: Option<&Sealed>, changes: &mut Changes) -> Result<(), Error> {
        let now = self.trail.at;
        check_passwords(seen.one::<Recipient>(), now)?;
        if right.is_some() && seen.one::<Member>().map(|member| &member.password) == right {
            return Ok(());
        }
        let known = seen.one::<Recipient>().cloned();
        let mut recipient = known.unwrap_or_else(|| Recipient::new(INSTALLATION, self.of.bucket));
        recipient.wrong_guesses.push(now);
        changes.put(recipient);
        Err(Error::SignInRefused)
    }
}

pub(super) fn sessions_of(member: MemberId) -> Read {
    Read::owned::<MemberSession>(member.as_bytes().into(), 2 * SESSIONS)
}

/// Sign-ins of a member that wait for its second factor.
pub(super) fn half_sign_ins_of(member: MemberId) -> Read {
    Read::owned::<MemberSignIn>(member.as_bytes().into(), 2 * SIGN_INS)
}

/// Those beyond so many; their ids do not tell their age.
fn oldest_of(mut half: Vec<&MemberSignIn>, kept: usize) -> impl Iterator<Item = Key> {
    half.sort_by_key(|half| std::cmp::Reverse(half.created_at));
    half.into_iter().skip(kept).map(Stored::key)
}

/// Sets a new password, and ends all sessions.
pub(crate) struct RecoverMember {
    pub of: Addressed,
    pub keys: TenantKeys,
    pub typed: TypedCode,
    /// Who was seen beforehand, and the hash of the new password, sealed.
    pub password: Option<(MemberId, Sealed)>,
    pub envelope: Envelope,
    pub trail: Trail,
}

impl Command for RecoverMember {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let sessions = self.password.iter().flat_map(|(member, _)| [sessions_of(*member), half_sign_ins_of(*member)]);
        self.of.reads(std::iter::once(self.of.code(CodeUse::Recover)).chain(sessions))
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if let Err(refused) = self.of.check(seen) {
            return (Err(refused), Changes::none());
        }
        let mut changes = self.of.counted(seen);
        if let Err(refused) = spend(seen, &self.keys, &self.typed, self.trail.at, &mut changes) {
            return (Err(refused), changes);
        }
        let member = seen.one::<Member>();
        let password = self.password.as_ref().filter(|(id, _)| member.is_some_and(|member| member.id == *id));
        let (Some(member), Some((_, password))) = (member, password) else {
            return (Err(Error::SignInRefused), changes);
        };
        changes.put(Member { password: password.clone(), ..member.clone() });
        changes.deletes.extend(seen.all::<MemberSession>().map(Stored::key));
        // The old password goes on nowhere.
        changes.deletes.extend(seen.all::<MemberSignIn>().map(Stored::key));
        changes.put(self.envelope.around(&Notice::PasswordChanged { at: self.trail.at }));
        changes.put(self.trail.line(INSTALLATION.tenant, Action::PasswordChanged, member.id, json!({})));
        (Ok(()), changes)
    }
}

/// Ends one of a member's sessions, or all; the outcome is how many.
pub(crate) struct EndMemberSessions {
    pub member: MemberId,
    pub bucket: BucketKey,
    pub only: Option<MemberSessionId>,
    pub trail: Trail,
}

impl Command for EndMemberSessions {
    type Outcome = usize;

    fn reads(&self) -> Reads {
        let wanted = vec![sessions_of(self.member), half_sign_ins_of(self.member)];
        Reads { scope: Scope::Subject(INSTALLATION.tenant, self.bucket), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (usize, Changes) {
        let mut changes = Changes::none();
        let open = seen.all::<MemberSession>().filter(|session| session.is_open(self.trail.at));
        let meant: Vec<_> = open.filter(|session| self.only.is_none_or(|only| session.id == only)).collect();
        if meant.is_empty() {
            return (0, changes);
        }
        changes.deletes.extend(meant.iter().map(|session| session.key()));
        if self.only.is_none() {
            changes.deletes.extend(seen.all::<MemberSignIn>().map(Stored::key));
        }
        let told = json!({"sessionIds": meant.iter().map(|session| session.id).collect::<Vec<_>>()});
        changes.put(self.trail.line(INSTALLATION.tenant, Action::MemberSignedOut, self.member, told));
        (meant.len(), changes)
    }
}

/// Notes that a session is used. One that was ended meanwhile stays ended.
pub(crate) struct NoteMemberSession {
    pub session: MemberSessionId,
    pub bucket: BucketKey,
    pub now: Timestamp,
}

impl Command for NoteMemberSession {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let session = Read::Record(MemberSession::key_of(self.session));
        Reads { scope: Scope::Subject(INSTALLATION.tenant, self.bucket), wanted: vec![session] }
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let mut changes = Changes::none();
        if let Some(session) = seen.one::<MemberSession>().filter(|session| session.is_open(self.now)) {
            changes.put(MemberSession { seen_at: session.seen_at.max(self.now), ..session.clone() });
        }
        ((), changes)
    }
}
