//! `-o`: how objects are printed.

use std::{fmt, io::IsTerminal};

use argosy_client::read;
use clap::ValueEnum;
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    channel, colors,
    connect::Connect,
    failure::{self, Failure},
    render::{Style, Width, details, tree::Filter},
    terminal,
};

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The name only
    Name,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// The table or tree with more columns
    Wide,
    /// The table or tree with fewer columns
    Short,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// Colours and columns for standard output.
pub fn style(connect: &Connect, output: Option<Output>) -> Style {
    let wanted = colors::are_wanted(connect.no_color) && std::io::stdout().is_terminal();
    let width = match output {
        Some(Output::Wide) => Width::Wide,
        Some(Output::Short) => Width::Short,
        Some(Output::Name | Output::Json | Output::Yaml) | None => Width::Normal,
    };
    let cells = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    Style { color: wanted, width, cells: cells.map(|(columns, _)| columns.0.into()), ..Style::default() }
}

/// Text for people to standard output, with no control characters but line breaks, tabs and our colours.
pub fn print(text: &str) {
    print_exact(&terminal::written(text));
}

/// A line of a log to standard output: as it is, but on a terminal without control characters, except for colours.
pub fn print_log(prefix: &str, line: &str) {
    if std::io::stdout().is_terminal() {
        print_exact(&format!("{}{}\n", terminal::line(prefix), terminal::colored(line)));
    } else {
        print_exact(&format!("{prefix}{line}\n"));
    }
}

/// Text for programs to standard output, as it is.
pub fn print_exact(text: &str) {
    channel::out(text);
}

/// As [`objects`], of workflows from the API.
pub fn listed(objects: &[DynamicObject], output: Option<Output>, connect: &Connect) -> Result<(), Failure> {
    let values = objects.iter().map(|object| read::shown(object, &failure::warn)).collect::<Result<Vec<_>, _>>()?;
    self::objects(&values, output, style(connect, output))
}

/// One object, or a `List` of several, in the form asked for.
pub fn objects(values: &[Value], output: Option<Output>, style: Style) -> Result<(), Failure> {
    report(values, output, style).map(|_| ())
}

/// As [`objects`]; how many lines people got.
pub fn report(values: &[Value], output: Option<Output>, style: Style) -> Result<usize, Failure> {
    let whole = || match values {
        [one] => one.clone(),
        several => json!({ "apiVersion": "v1", "kind": "List", "items": several, "metadata": {} }),
    };
    match output {
        Some(Output::Json) => {
            let text = serde_json::to_string_pretty(&whole()).map_err(anyhow::Error::from)?;
            print_exact(&format!("{text}\n"));
        }
        Some(Output::Yaml) => print_exact(&yaml(&whole())?),
        Some(Output::Name) => {
            for value in values {
                print(&format!("{}\n", value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()));
            }
        }
        None | Some(Output::Wide | Output::Short) => return details(values, &Filter::default(), style),
    }
    Ok(0)
}

/// The facts and trees of workflows; how many lines they have.
pub fn details(values: &[Value], filter: &Filter, style: Style) -> Result<usize, Failure> {
    let mut lines = 0;
    for (index, value) in values.iter().enumerate() {
        let workflow = read::readable_value(value)?;
        let gap = if index > 0 { "\n" } else { "" };
        let text = format!("{gap}{}", details::details(&workflow, filter, style, Timestamp::now()));
        lines += text.lines().count();
        print(&text);
    }
    Ok(lines)
}

/// Says once more how workflows ended, where the first lines of `printed` are no longer to be seen on the terminal.
pub fn remind(values: &[Value], printed: usize, style: Style) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    if terminal.is_none_or(|(_, rows)| printed < usize::from(rows.0)) {
        return Ok(());
    }
    print("\n");
    for value in values {
        print(&details::ending(&read::readable_value(value)?, style));
    }
    Ok(())
}

/// YAML with quoted texts where another reader would see a bool, a number or a date.
pub fn yaml(value: &Value) -> Result<String, Failure> {
    let mut text = serde_saphyr::to_string(value).map_err(anyhow::Error::from)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
