//! `verify-ledger`

use otp_core::{Difference, Ledger};

use super::output::{print, print_table};
use super::{Failure, with_service};
use crate::config::Config;

pub(super) fn verify(config: &Config) -> Result<(), Failure> {
    with_service(config, false, async |service| {
        let ledger = service.verify_ledger().await?;
        tell(&ledger);
        if ledger.differences.is_empty() { Ok(()) } else { Err(Failure::Told) }
    })
}

fn tell(ledger: &Ledger) {
    let Ledger { differences, compared, from, until, erased } = ledger;
    if differences.is_empty() {
        print(&format!("{compared} counts are what the records tell.\n"));
    } else {
        let rows: Vec<_> = differences.iter().map(row).collect();
        print_table(&["CUSTOMER", "MODE", "COUNTER", "SPAN", "FROM", "COUNTED", "RECOMPUTED"], &rows);
        print(&format!("\n{} of {compared} counts differ.\n", differences.len()));
    }
    print(&format!(
        "Hours from {from} to {until} were recomputed: what told of earlier ones has been swept away, and later ones may be \
         in motion. Calls, unique users and response times have no records of their own.\n"
    ));
    if !erased.is_empty() {
        let words = "users were erased: there a count may be higher than what is recomputed, and is not told of";
        print(&format!("At {} customers {words}.\n", erased.len()));
    }
}

fn row(difference: &Difference) -> Vec<String> {
    let key = difference.counter;
    vec![
        key.space.tenant.to_string(),
        key.space.mode.as_str().to_owned(),
        format!("{:?}", key.counter),
        format!("{:?}", key.span),
        key.starts_at.to_string(),
        difference.counted.to_string(),
        difference.recomputed.to_string(),
    ]
}
