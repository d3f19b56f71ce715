//! The built-in mailbox: the last mails, kept in memory to be looked at while developing.

mod pages;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use otp_core::message::{Channel, Mailer, Outgoing, Receipt, Segments, SendError};
use otp_core::{Clock, MessageId, Secret, Timestamp};
use tokio::sync::broadcast;

use super::MailFrom;
use super::letter::Unsendable;

pub use pages::routes;

/// How many mails are kept; an older one makes room.
const KEPT: usize = 200;
/// How many changes a watcher may be behind before it has to look at everything again.
const BACKLOG: usize = 64;

/// Keeps what it is sent, of every channel, and sends nothing. [`routes`] shows it.
pub struct Mailbox {
    from: MailFrom,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    /// Oldest first.
    mails: VecDeque<Arc<Mail>>,
    /// Gone once the mailbox is closed.
    changes: Option<broadcast::Sender<Change>>,
}

/// A message that has arrived.
pub struct Mail {
    /// The message.
    pub id: MessageId,
    /// How it would have travelled.
    pub channel: Channel,
    /// Address or number of the recipient.
    pub to: String,
    /// Name and address of the sender; of other channels than e-mail, the name only.
    pub from: String,
    /// Subject line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, for e-mail.
    pub html: Option<String>,
    /// The code that it carries, if it carries one.
    pub code: Option<Secret>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When its code dies.
    pub expires_at: Timestamp,
}

impl Mail {
    /// The parts of a text message.
    fn segments(&self) -> Option<Segments> {
        (self.channel == Channel::Sms).then(|| Segments::of(&self.text))
    }
}

/// What happened to a mailbox.
#[derive(Clone)]
enum Change {
    Arrived(Arc<Mail>),
    Emptied,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(from: MailFrom, clock: Arc<dyn Clock>) -> Self {
        let changes = Some(broadcast::Sender::new(BACKLOG));
        Self { from, clock, state: Mutex::new(State { mails: VecDeque::with_capacity(KEPT), changes }) }
    }

    /// What it holds, newest first.
    pub fn mails(&self) -> Vec<Arc<Mail>> {
        self.state().mails.iter().rev().cloned().collect()
    }

    /// Forgets all mails.
    pub fn clear(&self) {
        self.state().mails.clear();
        self.tell(Change::Emptied);
    }

    /// Ends the streams of all who watch, which would otherwise hold up a shutdown. Mails are kept on being taken.
    pub fn close(&self) {
        self.state().changes = None;
    }

    fn mail(&self, id: MessageId) -> Option<Arc<Mail>> {
        self.state().mails.iter().find(|mail| mail.id == id).cloned()
    }

    /// What happens from now on; `None` once the mailbox is closed.
    fn watch(&self) -> Option<broadcast::Receiver<Change>> {
        self.state().changes.as_ref().map(broadcast::Sender::subscribe)
    }

    fn tell(&self, change: Change) {
        if let Some(changes) = &self.state().changes {
            let _ = changes.send(change); // fails when nobody watches
        }
    }

    fn sender(&self, message: &Outgoing) -> Result<String, Unsendable> {
        let sender = self.from.of(message).map_err(|_| Unsendable::FromEmail)?;
        Ok(match message.channel {
            Channel::Email => sender.to_string(),
            Channel::Sms | Channel::Whatsapp => sender.name.unwrap_or_default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let mail = Arc::new(Mail {
            id: message.id,
            channel: message.channel,
            to: message.to.clone(),
            from: self.sender(message)?,
            subject: message.subject.clone(),
            text: message.text.clone(),
            html: message.html.clone(),
            code: message.code.clone(),
            received_at: self.clock.now(),
            expires_at: message.expires_at,
        });
        let segments = mail.segments().map(|segments| segments.count);
        self.state().add(Arc::clone(&mail));
        self.tell(Change::Arrived(mail));
        Ok(Receipt { segments, ..Receipt::default() })
    }
}

impl State {
    /// A repeat takes the place of the first try.
    fn add(&mut self, mail: Arc<Mail>) {
        self.mails.retain(|known| known.id != mail.id);
        if self.mails.len() == KEPT {
            self.mails.pop_front();
        }
        self.mails.push_back(mail);
    }
}
