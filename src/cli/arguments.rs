//! The arguments and their twins in the environment, read by one rule: the command line goes before
//! the environment, and an empty variable is as good as none.

use std::collections::BTreeSet;
use std::env;
use std::error::Error as _;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::Cli;
use crate::db::may_hold_password;
use crate::error::Exit;
use crate::place::Explanation;

/// Where the first is on the command line, the second one's twin doesn't hold: it says the contrary,
/// or names another database.
const RIVALS: [(&str, &str); 7] = [
    ("version", "to"),
    ("to", "version"),
    ("retry", "applied"),
    ("applied", "retry"),
    ("db_host", "database_url"),
    ("db_name", "database_url"),
    ("database_secret_env", "database_url"),
];

/// Reads them.
///
/// # Errors
/// clap's, for [`refuse`]; the help that was asked for is one.
pub fn parse() -> Result<Cli, clap::Error> {
    let given = given();
    let beaten =
        |id: &str| RIVALS.iter().any(|(winner, loser)| *loser == id && given.contains(*winner));
    let mut command = command(|arg| {
        !beaten(arg.get_id().as_str()) && twin(arg).is_some_and(|(_, value)| !value.is_empty())
    });
    let matches = command.try_get_matches_from_mut(env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The command line, with those twins that hold. Their values aren't for the help texts.
fn command(holds: impl Fn(&Arg) -> bool) -> Command {
    let twin = |arg: Arg| {
        // One that isn't set stays in the help.
        let arg = arg.hide_env_values(true);
        if twin(&arg).is_none() || holds(&arg) { arg } else { arg.env(Resettable::Reset) }
    };
    with_twins(Cli::command(), &twin)
}

/// A command, and those below it.
fn with_twins(command: Command, twin: &impl Fn(Arg) -> Arg) -> Command {
    command.mut_args(twin).mut_subcommands(|below| with_twins(below, twin))
}

/// The name and value of an option's variable, where that is set.
fn twin(arg: &Arg) -> Option<(String, String)> {
    let name = arg.get_env()?;
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    Some((name.to_string_lossy().into_owned(), value))
}

/// The options that stand on the command line itself, whatever else may be wrong with it.
fn given() -> BTreeSet<String> {
    let matches = command(|_| false).ignore_errors(true).try_get_matches();
    let Ok(Some((_, mut matches))) = matches.as_ref().map(clap::ArgMatches::subcommand) else {
        return BTreeSet::new();
    };
    while let Some((_, below)) = matches.subcommand() {
        matches = below;
    }
    let ids = matches.ids().map(clap::Id::as_str);
    let typed = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    ids.filter(typed).map(str::to_owned).collect()
}

/// Ends as clap would: with its error, or with the help that was asked for. clap quotes what it
/// doesn't understand, and that may be a password in the wrong place.
pub fn refuse(error: clap::Error) -> ! {
    let error = with_tip(without_value(&error).unwrap_or(error));
    if error.use_stderr() && wants_json() {
        let text = error.render().to_string();
        let text = text.split("\n\nUsage:").next().unwrap_or_default();
        let text = text.split("\n\nFor more").next().unwrap_or_default();
        let text = text.trim_start_matches("error: ").replace("\n\n", "; ");
        let words: Vec<_> = text.split_whitespace().collect();
        let next = Explanation::default().note("next", "try '--help'");
        super::tell_as_json(&words.join(" "), &next, Exit::Usage);
        std::process::exit(Exit::Usage.code().into());
    }
    error.exit()
}

/// `up` has no answer, and so not the option of those commands that have one.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let json = ContextValue::String("--json".to_owned());
    let up = env::args_os().nth(1).is_some_and(|word| word == "up");
    if up && error.get(ContextKind::InvalidArg) == Some(&json) {
        let tip = "'--log-format json' makes the log of 'up' JSON lines";
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
        // Not `--join`, which only looks like it.
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

/// The same error without the value, where that comes from the environment, which holds passwords,
/// or looks like one.
fn without_value(error: &clap::Error) -> Option<clap::Error> {
    if !error.use_stderr() {
        return None;
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (arg, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let variable = arg.zip(value).and_then(|(arg, value)| variable_with(arg, value));
    if variable.is_none() && !error.context().any(|(kind, value)| is_suspect(kind, value)) {
        return None;
    }
    let what = match (error.kind(), arg.filter(|arg| is_option(arg))) {
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(arg)) => {
            format!("invalid value for '{arg}'")
        }
        (kind, _) => kind.as_str().unwrap_or("invalid arguments").to_owned(),
    };
    let variable = variable.map(|name| format!(" in {name}")).unwrap_or_default();
    let cause = error.source().map(ToString::to_string);
    let cause = cause.filter(|cause| value.is_none_or(|value| !cause.contains(value)));
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    let mut message = format!("{what}{variable}{cause}");
    if let Some(ContextValue::Strings(possible)) = error.get(ContextKind::ValidValue)
        && !possible.is_empty()
    {
        message.push_str(&format!("\n  [possible values: {}]", possible.join(", ")));
    }
    message.push_str("\n  it isn't shown, since it may hold a password");
    Some(Cli::command().error(error.kind(), message))
}

/// The variable from which an option has this value. clap names options as it shows them.
fn variable_with(option: &str, value: &str) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    variable_of(&command, option, value)
}

fn variable_of(command: &Command, option: &str, value: &str) -> Option<String> {
    let args = command.get_arguments().filter(|arg| arg.to_string() == option);
    let mut variables = args.filter_map(twin);
    let here = variables.find(|(_, found)| found == value).map(|(name, _)| name);
    here.or_else(|| command.get_subcommands().find_map(|below| variable_of(below, option, value)))
}

/// Whether clap would quote what may be a password. Its usages and tips quote nothing but itself.
fn is_suspect(kind: ContextKind, value: &ContextValue) -> bool {
    let suspect = |text: &String| {
        let lower = text.to_ascii_lowercase();
        may_hold_password(text) || text.contains('@') || lower.contains("password")
    };
    match (kind, value) {
        (ContextKind::InvalidArg, ContextValue::String(text)) if is_option(text) => false,
        (
            ContextKind::InvalidArg | ContextKind::InvalidValue | ContextKind::InvalidSubcommand,
            ContextValue::String(text),
        ) => suspect(text),
        (ContextKind::Suggested | ContextKind::TrailingArg, ContextValue::StyledStrs(tips)) => {
            tips.iter().any(|tip| may_hold_password(&tip.to_string().replace("tip:", "")))
        }
        _ => false,
    }
}

/// `--db-port <PORT>`, and nothing that could be a value.
fn is_option(text: &str) -> bool {
    let name = text.split(['=', ' ']).next().unwrap_or_default();
    let rest = text[name.len()..].trim_start_matches(['=', ' ']);
    let word = |c: char| c.is_ascii_lowercase() || c == '-';
    name.starts_with("--")
        && name.chars().all(word)
        && (rest.is_empty() || rest.starts_with('<') && rest.ends_with('>'))
}

/// Whether standard error is to carry JSON lines, as far as one can tell before the arguments are
/// understood.
fn wants_json() -> bool {
    let words: Vec<_> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    match words.get(1).map(String::as_str) {
        Some("up") => wants_json_log(&words),
        Some("ecs") if words.get(2).is_some_and(|word| word != "doctor") => wants_json_log(&words),
        Some("plan" | "status" | "ecs") => {
            let value = env::var("LOCKKEEPER_JSON").unwrap_or_default().to_ascii_lowercase();
            // The words in which clap hears a yes.
            let yes = ["y", "yes", "t", "true", "on", "1"].contains(&value.as_str());
            yes || words.iter().any(|word| word == "--json")
        }
        _ => false,
    }
}

fn wants_json_log(words: &[String]) -> bool {
    let option = "--log-format";
    let after = |pair: &[String]| (pair[0] == option).then(|| pair[1].clone());
    let joined = |word: &String| Some(word.strip_prefix(option)?.strip_prefix('=')?.to_owned());
    let given = words.windows(2).find_map(after).or_else(|| words.iter().find_map(joined));
    let format = given.or_else(|| env::var("LOCKKEEPER_LOG_FORMAT").ok());
    format.as_deref() == Some("json")
}
