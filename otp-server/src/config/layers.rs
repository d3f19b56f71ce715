//! Texts of settings, each with where it came from, one layer over the other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use otp_core::Secret;

use super::{Mistake, Setting, file};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line of a file.
    File(PathBuf, usize),
    Environment,
    Flag,
}

/// What is set, and where. Texts are kept as secrets because some are.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers(BTreeMap<Setting, (Secret, Origin)>);

impl Layers {
    /// The embedded default file.
    pub fn defaults() -> Self {
        file::parse(super::DEFAULT_FILE, "otp.default.toml".as_ref()).expect("a test reads the embedded file")
    }

    pub fn of_flags(flags: Flags) -> Self {
        Self(flags.0.into_iter().map(|(setting, text)| (setting, (text, Origin::Flag))).collect())
    }

    pub fn set(&mut self, setting: Setting, text: String, origin: Origin) {
        self.0.insert(setting, (text.into(), origin));
    }

    #[cfg(test)]
    pub fn has(&self, setting: Setting) -> bool {
        self.0.contains_key(&setting)
    }

    /// This layer with another one over it.
    pub fn under(mut self, upper: Layers) -> Self {
        self.0.extend(upper.0);
        self
    }

    /// The setting's value; a mistake in it is told with where it was made.
    pub fn read<T>(&self, setting: Setting, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Mistake> {
        let Some((text, origin)) = self.0.get(&setting) else {
            return Err(Mistake::of(setting, "it is not set"));
        };
        let set_by = SetBy { setting, origin };
        parse(text.expose().trim()).map_err(|words| Mistake::new(format_args!("{set_by}: {words}")))
    }
}

struct SetBy<'a> {
    setting: Setting,
    origin: &'a Origin,
}

impl fmt::Display for SetBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting.variable())?;
        match self.origin {
            Origin::Environment => Ok(()),
            Origin::Flag => write!(f, " (flag --{})", self.setting.flag()),
            Origin::File(path, line) => write!(f, " ({} in {}, line {line})", self.setting.key(), path.display()),
        }
    }
}

/// The settings that were given as flags.
#[derive(Clone, Debug, Default)]
pub struct Flags(BTreeMap<Setting, Secret>);

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        Setting::ALL.iter().fold(command, |command, setting| command.arg(flag(*setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: Setting) -> Arg {
    Arg::new(setting.key())
        .long(setting.flag())
        .value_name(setting.value_name())
        .help(setting.help())
        .help_heading("Settings, also read from OTP_… variables and otp.toml")
        .global(true)
        .hide_short_help(true)
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| Some((*setting, matches.get_one::<String>(setting.key())?.clone().into()));
        Ok(Self(Setting::ALL.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}
