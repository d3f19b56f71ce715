//! `simulate`

use clap::Subcommand;

use super::Failure;
use super::output::{print, print_table};
use crate::boot;
use crate::simulate::{GUARDS, Pumping, Tally};

#[derive(Subcommand)]
pub(super) enum Command {
    /// A ring has codes sent to numbers that it is paid for: what the guards let through, beside people who sign in
    Pumping(Pumping),
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Pumping(pumping) = command;
    let outcome = boot::runtime()?.block_on(pumping.run())?;
    let guards = GUARDS.map(|guard| guard.as_str().to_uppercase());
    let heading = ["", "ASKED", "SENT", "SAID", &guards[0], &guards[1], &guards[2], "COST USD", "UNGUARDED USD"];
    print_table(&heading, &[row("ring", &outcome.ring), row("people", &outcome.users)]);
    let Pumping { numbers, prefixes, hours, seed, .. } = pumping;
    print(&format!("\n{numbers} numbers in {prefixes} blocks, over {hours} h, seed {seed}. Nothing was sent.\n"));
    Ok(())
}

fn row(name: &str, tally: &Tally) -> Vec<String> {
    let counts = [tally.asked, tally.sent, tally.said].into_iter().chain(tally.refused).map(|count| count.to_string());
    let money = [tally.cost, tally.unguarded].map(|millionths| format!("{:.2}", millionths as f64 / 1e6));
    [name.to_owned()].into_iter().chain(counts).chain(money).collect()
}
