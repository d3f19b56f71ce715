//! The table of the world's numbers beside the library that it was made from.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use otp_core::numbering::{Line, LineKind};
use otp_core::{Random, SeededRandom};

/// Calling codes, those with many plans behind them more often than their share.
const CODES: [&str; 28] = [
    "1", "1", "1", "7", "20", "27", "30", "33", "34", "39", "44", "44", "47", "49", "49", "55", "61", "81", "86", "90",
    "91", "212", "262", "351", "358", "371", "590", "599",
];

fn numbers() -> Vec<String> {
    let random = SeededRandom::new(7);
    let below = |bound: u64| u64::from_be_bytes((&random as &dyn Random).bytes()) % bound;
    let number = |each: usize| {
        let code = match each % 3 {
            0 => (2 + below(8)).to_string(),
            _ => CODES[below(CODES.len() as u64) as usize].to_owned(),
        };
        let rest: String = (0..8 + below(4)).map(|_| char::from(b'0' + below(10) as u8)).collect();
        format!("+{code}{rest}")
    };
    (0..30_000).map(number).collect()
}

fn ours(number: &str) -> String {
    let Some(line) = Line::of(&number.parse().unwrap()) else { return "-".to_owned() };
    let letter = match line.kind {
        LineKind::Mobile => 'm',
        LineKind::Landline => 'l',
        LineKind::Service => 'p',
    };
    format!("{}{letter}", line.country)
}

#[test]
#[ignore = "needs phonenumbers: run cargo xtask test"]
fn libphonenumber_takes_numbers_for_the_same() {
    let python = std::env::var_os("OTP_TEST_PYTHON").expect("OTP_TEST_PYTHON is set by `cargo xtask test`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/peers/phone_numbers.py");
    let mut peer =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    let numbers = numbers();
    let mut input = peer.stdin.take().unwrap();
    let lines = numbers.join("\n");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = peer.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    let pairs: Vec<(&String, String, &str)> =
        numbers.iter().zip(theirs.lines()).map(|(number, theirs)| (number, ours(number), theirs)).collect();
    assert_eq!(pairs.len(), numbers.len());
    assert!(pairs.iter().filter(|(_, _, theirs)| theirs.ends_with('m')).count() > 1_000);
    // The table ends at seven digits, and is kind from there on.
    let differ: Vec<_> = pairs.iter().filter(|(_, ours, theirs)| ours != theirs).collect();
    assert!(differ.len() * 200 < pairs.len(), "{} of {}: {:?}", differ.len(), pairs.len(), &differ[..20]);
    let refused: Vec<_> =
        pairs.iter().filter(|(_, ours, theirs)| theirs.ends_with('m') && !ours.ends_with('m')).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
