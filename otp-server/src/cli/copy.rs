//! `copy`: an installation moves from one database to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use otp_core::TenantId;
use otp_core::secret::Digest32;
use otp_core::store::{
    Add, Changes, Command, Item, Place, Read, Reads, Record, Scope, Snapshot, Store, StoreError, run,
};

use super::output::print;
use super::{Failure, data};
use crate::boot::{self, Database, InUse, copy_notes, existing_file, open_database};
use crate::config::{self, Config, Mistake, Setting};

/// Rows that are read, compared and written together.
const PAGE: usize = 500;

/// Copies a whole installation to another database, and compares the two. Keys and codes stay sealed on the way: no master
/// key is needed, and the copy is opened by the same one.
#[derive(Args)]
#[command(after_help = "\
Example, with the server stopped:
  otp-server copy --from sqlite:./otp-data/otp.db --to postgres://otp:password@db/otp

A copy that was interrupted goes on where it was when the same command is given again. What the target holds already is
compared and not written again; a target that holds something else is refused.")]
pub(super) struct Copy {
    /// Where the data is: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it is to be; made if there is none
    #[arg(long, value_name = "URL")]
    to: String,
}

impl Copy {
    pub fn run(&self, config: &Config) -> Result<(), Failure> {
        let [from, to] = [("--from", &self.from), ("--to", &self.to)].map(|(flag, url)| parse(flag, url, config));
        let (from, to) = (from?, to?);
        if let config::Database::Sqlite(path) = &from {
            existing_file(path)?;
        }
        let _alone = [alone(&from)?, alone(&to)?];
        boot::runtime()?.block_on(async {
            let (source, target) = (open_database(&from).await?, open_database(&to).await?);
            let outcome = copy(&source, &target).await;
            source.close().await;
            target.close().await;
            outcome
        })
    }
}

fn parse(flag: &str, url: &str, config: &Config) -> Result<config::Database, Failure> {
    let refuse = |words: String| Failure::Mistake(Mistake::new(format_args!("{flag}: {words}")));
    match config::Database::parse(url, &config.data_dir) {
        Ok(config::Database::Memory) => {
            Err(refuse("`memory:` outlives no process; name a file or a server".to_owned()))
        }
        Ok(database) if !url.is_empty() => Ok(database),
        Ok(_) => Err(refuse("it is empty; write `sqlite:PATH` or `postgres://…`".to_owned())),
        Err(words) => Err(refuse(words)),
    }
}

/// A file that a server writes to would be copied as it was at no moment.
fn alone(database: &config::Database) -> Result<Option<InUse>, Failure> {
    let config::Database::Sqlite(path) = database else { return Ok(None) };
    data::alone(path).map(Some)
}

async fn copy(source: &Database, target: &Database) -> Result<(), Failure> {
    copy_notes(source, target).await?;
    let (from, to) = (source.store(), target.store());
    let wanted = Tally::of(&from).await.map_err(broken)?;
    let bar = ProgressBar::new(wanted.rows());
    bar.set_style(style());
    let mut after = None;
    loop {
        let page = from.inventory(after, PAGE).await.map_err(broken)?;
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        bar.inc(page.len() as u64);
        run(&*to, WritePage(page)).await.map_err(broken)?.map_err(Failure::Refused)?;
    }
    bar.finish_and_clear();
    compare(&wanted, &Tally::of(&to).await.map_err(broken)?)
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {human_pos} of {human_len} rows, {elapsed} gone, {eta} to go";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn broken(error: StoreError) -> Failure {
    let cause = config::cause(&error);
    let fix = "give the same command again: it goes on where it was";
    Failure::Refused(Mistake::of(Setting::DatabaseUrl, format_args!("{error}{cause}; {fix}")).to_string())
}

fn compare(wanted: &Tally, found: &Tally) -> Result<(), Failure> {
    for (kind, sum) in &found.0 {
        let expected = wanted.0.get(kind).copied().unwrap_or_default();
        if *sum != expected {
            let words = format!(
                "the target has {} rows of {kind}, the source {}, and they are not the same: it held something before, or \
                 a server wrote meanwhile; stop all servers, and begin with an empty target",
                sum.rows, expected.rows
            );
            return Err(Failure::Refused(words));
        }
    }
    if wanted.0.len() != found.0.len() {
        return Err(Failure::Refused("the target lacks rows; give the same command again".to_owned()));
    }
    for (kind, sum) in &found.0 {
        print(&format!("{kind:<12} {:>10} rows  {:016x}\n", sum.rows, sum.digest));
    }
    print("The target holds the same rows as the source. Start the server with it and the same master key.\n");
    Ok(())
}

/// Writes a page of the source where the target lacks it or has it otherwise.
struct WritePage(Vec<Item>);

impl Command for WritePage {
    type Outcome = Result<(), String>;

    fn reads(&self) -> Reads {
        let wanted = self.0.iter().map(|item| match item.place() {
            Place::Record(key) => Read::Record(key),
            Place::Count(counter) => Read::Counter(counter),
        });
        // Nobody else writes; any scope will do.
        Reads { scope: Scope::Tenant(TenantId::from_bytes([0; 16])), wanted: wanted.collect() }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        let there: BTreeMap<_, &Record> = seen.records.iter().map(|record| (record.key(), record)).collect();
        for item in &self.0 {
            match item {
                Item::Record(record) if there.get(&record.key()).is_some_and(|there| is_same(there, record)) => {}
                Item::Record(record) => changes.puts.push((**record).clone()),
                Item::Count(counter, count) => match count.checked_sub(seen.counter(counter)) {
                    Some(0) => {}
                    Some(by) => changes.adds.push(Add { counter: *counter, by, at_most: Some(*count) }),
                    None => {
                        let words = "a count of the target is past the source's: it is not an earlier copy of it";
                        return (Err(words.to_owned()), Changes::none());
                    }
                },
            }
        }
        (Ok(()), changes)
    }
}

fn is_same(one: &Record, other: &Record) -> bool {
    one.due() == other.due() && one.body() == other.body()
}

/// How many rows of each kind there are, and a digest of them that does not depend on their order.
struct Tally(BTreeMap<&'static str, Sum>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    digest: u64,
}

impl Tally {
    async fn of(store: &Arc<dyn Store>) -> Result<Self, StoreError> {
        let (mut tally, mut after) = (Self(BTreeMap::new()), None);
        loop {
            let page = store.inventory(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(tally) };
            after = Some(last.place());
            page.iter().for_each(|item| tally.add(item));
        }
    }

    fn add(&mut self, item: &Item) {
        let (kind, text) = match item {
            Item::Record(record) => {
                let (key, due) = (record.key(), record.due());
                (key.kind.name(), format!("{key:?} {due:?} {}", record.body()))
            }
            Item::Count(counter, count) => ("counter", format!("{counter:?} {count}")),
        };
        let sum = self.0.entry(kind).or_default();
        let digest = Digest32::of(text.as_bytes()).0;
        let [a, b, c, d, e, f, g, h, ..] = digest;
        sum.rows += 1;
        sum.digest = sum.digest.wrapping_add(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    }

    fn rows(&self) -> u64 {
        self.0.values().map(|sum| sum.rows).sum()
    }
}
