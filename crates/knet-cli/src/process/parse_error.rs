//! What is wrong with the arguments, in one line that also says what to do.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Returns the line for a parse error of these arguments, the first of which is the name of the
/// command. `commands` are the subcommands.
pub(crate) fn text(error: &Error, args: &[OsString], commands: &[String]) -> String {
    // The only options before a subcommand end the command.
    let chosen =
        args.get(1).and_then(|first| commands.iter().find(|&command| first == command.as_str()));
    let help = match chosen {
        Some(command) => format!("knet {command} --help"),
        None => "knet --help".to_owned(),
    };
    format!("{} (see '{help}')", what(error, commands))
}

/// Returns what is wrong, and what to do if it is known.
fn what(error: &Error, commands: &[String]) -> String {
    let context = |kind| error.get(kind).map(list).unwrap_or_default();
    let first = |kind| context(kind).into_iter().next().unwrap_or_default();
    let argument = first(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            format!("expected a command: {}", either(commands))
        }
        ErrorKind::InvalidSubcommand => {
            let unknown = first(ContextKind::InvalidSubcommand);
            let expected = either(commands);
            let hint = guess(&context(ContextKind::SuggestedSubcommand));
            format!(
                "unknown command '{unknown}': {}",
                hint.unwrap_or(format!("expected {expected}"))
            )
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            match guess(&context(ContextKind::SuggestedArg)) {
                Some(hint) => format!("unknown option '{argument}': {hint}"),
                None => format!("unknown option '{argument}'"),
            }
        }
        ErrorKind::UnknownArgument => {
            format!("unexpected argument '{argument}': it belongs to no option")
        }
        ErrorKind::MissingRequiredArgument => {
            format!("missing {}", context(ContextKind::InvalidArg).join(" and "))
        }
        ErrorKind::InvalidValue => {
            let value = first(ContextKind::InvalidValue);
            let valid = context(ContextKind::ValidValue);
            let expected = format!("expected {}", either(&valid));
            match guess(&context(ContextKind::SuggestedValue)) {
                _ if value.is_empty() && valid.is_empty() => format!("{argument} needs a value"),
                _ if value.is_empty() => format!("{argument} needs a value: {expected}"),
                Some(hint) => format!("invalid value '{value}' for {argument}: {hint} {expected}"),
                None => format!("invalid value '{value}' for {argument}: {expected}"),
            }
        }
        ErrorKind::TooManyValues => {
            let value = first(ContextKind::InvalidValue);
            format!("{argument} takes no value: leave out '{value}'")
        }
        ErrorKind::ArgumentConflict => conflict(&argument, &context(ContextKind::PriorArg)),
        ErrorKind::ValueValidation => {
            let value = first(ContextKind::InvalidValue);
            let why = std::error::Error::source(error).map(ToString::to_string);
            format!("invalid value '{value}' for {argument}: {}", why.unwrap_or_default())
        }
        _ => first_paragraph(&error.render().to_string()),
    }
}

fn conflict(argument: &str, others: &[String]) -> String {
    if others.is_empty() || others == [argument] {
        format!("{argument} is specified more than once: specify it once")
    } else {
        format!("{argument} cannot be used with {}: leave one of them out", either(others))
    }
}

/// Returns the question whether one of these was meant.
fn guess(similar: &[String]) -> Option<String> {
    let quoted: Vec<String> = similar.iter().map(|similar| format!("'{similar}'")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", either(&quoted)))
}

/// Joins alternatives: `a, b or c`.
fn either(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

fn list(value: &ContextValue) -> Vec<String> {
    match value {
        ContextValue::String(text) => vec![text.clone()],
        ContextValue::Strings(texts) => texts.clone(),
        _ => Vec::new(),
    }
}

/// Returns clap's message without the usage and the hints that follow it.
fn first_paragraph(text: &str) -> String {
    let lines = text.trim_start().lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_listed() {
        assert_eq!(either(&[]), "");
        assert_eq!(either(&["a".into()]), "a");
        assert_eq!(either(&["a", "b", "c"].map(String::from)), "a, b or c");
        assert_eq!(guess(&[]), None);
        assert_eq!(
            guess(&["cat".into(), "check".into()]).unwrap(),
            "did you mean 'cat' or 'check'?"
        );
    }

    #[test]
    fn other_messages_of_clap_become_one_line() {
        let text = "error: these are missing:\n  --id <HOST>\n  --peer <PEER>\n\nUsage: knet cat\n";
        assert_eq!(first_paragraph(text), "these are missing: --id <HOST> --peer <PEER>");
    }
}
