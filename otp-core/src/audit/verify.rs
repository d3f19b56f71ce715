//! Whether the trail is whole.

use std::collections::HashMap;

use super::Audit;
use super::chain::{AuditHead, ChainId};
use crate::clock::Timestamp;
use crate::id::{AuditId, TenantId};
use crate::secret::{Digest32, TenantKeys};

/// What is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// A line is not as it was written.
    Changed(TenantId, AuditId),
    /// A line stands in no chain.
    Unchained(TenantId, AuditId),
    /// A line was made under a master key that the ring does not have.
    KeyMissing(TenantId, AuditId, u8),
    /// Before this line there is one missing, or another in its place.
    Gap(TenantId, AuditId),
    /// The last lines of a chain are missing, behind this one; all of them, if there is none.
    CutOff(TenantId, Option<AuditId>),
}

/// What a look at all trails came to.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    /// Lines looked at.
    pub lines: usize,
    /// Chains that they stand in.
    pub chains: usize,
    /// What is wrong.
    pub faults: Vec<AuditFault>,
}

struct Seen {
    number: u64,
    id: AuditId,
    previous: Digest32,
    previous_until: Option<Timestamp>,
    digest: Digest32,
}

/// Takes all lines, then all heads, and tells what is missing.
pub struct Verifier {
    /// When the look began: what was written since may be among what it is handed, or not.
    began_at: Timestamp,
    chains: HashMap<(TenantId, ChainId), Vec<Seen>>,
    heads: Vec<AuditHead>,
    report: AuditReport,
}

impl Verifier {
    /// One that has seen nothing.
    pub fn new(began_at: Timestamp) -> Self {
        Self { began_at, chains: HashMap::new(), heads: Vec::new(), report: AuditReport::default() }
    }

    /// Takes a line, with the keys of its tenant.
    pub fn line(&mut self, line: &Audit, keys: &TenantKeys) {
        self.report.lines += 1;
        let Some(link) = &line.link else {
            return self.report.faults.push(AuditFault::Unchained(line.tenant, line.id));
        };
        match line.digest(link, keys) {
            None => self.report.faults.push(AuditFault::KeyMissing(line.tenant, line.id, link.kid)),
            Some(digest) if digest != link.digest => {
                self.report.faults.push(AuditFault::Changed(line.tenant, line.id));
            }
            Some(_) => {}
        }
        self.chains.entry((line.tenant, link.chain)).or_default().push(Seen {
            number: link.number,
            id: line.id,
            previous: link.previous,
            previous_until: link.previous_until,
            digest: link.digest,
        });
    }

    /// Takes a head.
    pub fn head(&mut self, head: &AuditHead) {
        self.heads.push(head.clone());
    }

    /// What it came to.
    pub fn report(mut self) -> AuditReport {
        for ((tenant, _), lines) in &mut self.chains {
            lines.sort_by_key(|line| line.number);
            let first = lines.first().filter(|line| line.number > 1 && !is_outlived(line, self.began_at));
            let follows = |two: &[Seen]| two[1].number == two[0].number + 1 && two[1].previous == two[0].digest;
            let gaps = lines.windows(2).filter(|two| !follows(two) && !is_outlived(&two[1], self.began_at));
            let behind = first.into_iter().chain(gaps.map(|two| &two[1]));
            self.report.faults.extend(behind.map(|line| AuditFault::Gap(*tenant, line.id)));
        }
        let ends: HashMap<_, _> = self.heads.iter().map(|head| ((head.tenant, head.chain), head)).collect();
        for (place, lines) in &self.chains {
            let last = lines.last().map(|line| (line.number, line.digest, line.id));
            let is_whole = ends.get(place).zip(last).is_some_and(|(head, (number, digest, _))| {
                (head.number, head.digest) == (number, digest) || head.at >= self.began_at
            });
            if !is_whole {
                self.report.faults.push(AuditFault::CutOff(place.0, last.map(|(_, _, id)| id)));
            }
        }
        for head in &self.heads {
            let is_empty = !self.chains.contains_key(&(head.tenant, head.chain));
            if is_empty && self.began_at < head.until && head.at < self.began_at {
                self.report.faults.push(AuditFault::CutOff(head.tenant, None));
            }
        }
        self.report.chains = self.chains.len();
        self.report
    }
}

/// Whether the line before has gone because lines are not kept for ever.
fn is_outlived(line: &Seen, now: Timestamp) -> bool {
    line.previous_until.is_some_and(|until| until <= now)
}
