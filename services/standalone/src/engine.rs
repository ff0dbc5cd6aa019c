//! Settings of the engine, as flags and environment.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use argosy_engine::{Config, TemplateReferencing};

/// What a workflow may be and may cost. Past a limit it, or the node, ends with Error, and the message names the flag. The
/// defaults are those of [`Config`].
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What a workflow may be and may cost")]
#[group(skip)]
pub struct EngineOptions {
    /// Only run workflows that come from a template, and beside the reference to it change nothing of its pods (`strict`), nor
    /// what the template says while they run (`secure`) [default: run all]
    #[arg(long, env = "ARGOSY_WORKFLOW_RESTRICTIONS", value_enum, ignore_case = true, value_name = "MODE")]
    pub workflow_restrictions: Option<Restrictions>,
    /// Nodes of a workflow, those included that wait for their turn [default: 200000]
    #[arg(long, env = "ARGOSY_NODES_MAX", value_name = "COUNT")]
    pub nodes_max: Option<NonZeroUsize>,
    /// Nodes that a workflow may add because of one event [default: 150000]
    #[arg(long, env = "ARGOSY_NODES_PER_EVENT_MAX", value_name = "COUNT")]
    pub nodes_per_event_max: Option<NonZeroUsize>,
    /// Calls, starts and ends of nodes that one event may cause [default: 2000000]
    #[arg(long, env = "ARGOSY_WORK_PER_EVENT_MAX", value_name = "COUNT")]
    pub work_per_event_max: Option<NonZeroUsize>,
    /// Steps of all evaluations of expressions because of one event [default: 3000000]
    #[arg(long, env = "ARGOSY_EXPRESSION_STEPS_PER_EVENT_MAX", value_name = "COUNT")]
    pub expression_steps_per_event_max: Option<NonZeroUsize>,
    /// Templates that call each other [default: 100]
    #[arg(long, env = "ARGOSY_DEPTH_MAX", value_name = "COUNT")]
    pub depth_max: Option<NonZeroUsize>,
    /// Inputs and outputs of all nodes of a workflow [default: 512Mi]
    #[arg(long, env = "ARGOSY_VALUES_BYTES_MAX", value_name = "BYTES")]
    pub values_bytes_max: Option<Bytes>,
    /// The steps of one loop, each with its arguments [default: 256Mi]
    #[arg(long, env = "ARGOSY_LOOP_BYTES_MAX", value_name = "BYTES")]
    pub loop_bytes_max: Option<Bytes>,
    /// A pod's manifest, or a node; the bus must take such messages and 64 KiB around them [default: 960Ki]
    #[arg(long, env = "ARGOSY_MESSAGE_BYTES_MAX", value_name = "BYTES")]
    pub message_bytes_max: Option<Bytes>,
    /// Steps of one evaluation of an expression [default: 1000000]
    #[arg(long, env = "ARGOSY_EXPRESSION_STEPS", value_name = "COUNT")]
    pub expression_steps: Option<NonZeroUsize>,
    /// All values that one evaluation of an expression makes [default: 64Mi]
    #[arg(long, env = "ARGOSY_EXPRESSION_BYTES", value_name = "BYTES")]
    pub expression_bytes: Option<Bytes>,
    /// A text, or all texts of an object, once its tags have been replaced [default: 16Mi]
    #[arg(long, env = "ARGOSY_TEXT_BYTES", value_name = "BYTES")]
    pub text_bytes: Option<Bytes>,
    /// Items of one loop [default: 100000]
    #[arg(long, env = "ARGOSY_LOOP_ITEMS", value_name = "COUNT")]
    pub loop_items: Option<NonZeroUsize>,
}

impl EngineOptions {
    /// Sets in `config` what was given.
    pub fn apply(&self, config: &mut Config) {
        let set = |field: &mut usize, value: Option<NonZeroUsize>| *field = value.map_or(*field, NonZeroUsize::get);
        let set_bytes = |field: &mut usize, value: Option<Bytes>| *field = value.map_or(*field, |bytes| bytes.0);
        let wide = |field: &mut u64, value: Option<usize>| *field = value.map_or(*field, |value| value as u64);
        set(&mut config.nodes_max, self.nodes_max);
        set(&mut config.nodes_per_event_max, self.nodes_per_event_max);
        set(&mut config.work_per_event_max, self.work_per_event_max);
        let steps = self.expression_steps_per_event_max.map(NonZeroUsize::get);
        wide(&mut config.expression_steps_per_event_max, steps);
        set(&mut config.depth_max, self.depth_max);
        set_bytes(&mut config.values_bytes_max, self.values_bytes_max);
        set_bytes(&mut config.loop_bytes_max, self.loop_bytes_max);
        set_bytes(&mut config.message_bytes_max, self.message_bytes_max);
        wide(&mut config.limits.expression_steps, self.expression_steps.map(NonZeroUsize::get));
        wide(&mut config.limits.expression_bytes, self.expression_bytes.map(|bytes| bytes.0));
        wide(&mut config.limits.text_bytes, self.text_bytes.map(|bytes| bytes.0));
        wide(&mut config.limits.loop_items, self.loop_items.map(NonZeroUsize::get));
        config.restrictions = self.workflow_restrictions.map(Into::into).or(config.restrictions);
    }
}

/// Argo's `workflowRestrictions.templateReferencing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Restrictions {
    /// Only from a template
    Strict,
    /// The same, and the template stays as it was when the workflow began
    Secure,
}

impl From<Restrictions> for TemplateReferencing {
    fn from(mode: Restrictions) -> Self {
        match mode {
            Restrictions::Strict => Self::Strict,
            Restrictions::Secure => Self::Secure,
        }
    }
}

/// A size of at least one byte: a number, or a number with `Ki`, `Mi` or `Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

/// No size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a size above 0, in bytes or with Ki, Mi or Gi: 512Mi")]
pub struct BadBytes;

impl FromStr for Bytes {
    type Err = BadBytes;

    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: usize = match unit.strip_suffix('B').unwrap_or(unit) {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(BadBytes),
        };
        let number: usize = number.parse().map_err(|_| BadBytes)?;
        number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Self).ok_or(BadBytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}Mi", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}Ki", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        engine: EngineOptions,
    }

    fn config(arguments: &str) -> Config {
        let mut config = Config::default();
        let cli = Cli::try_parse_from(std::iter::once("it").chain(arguments.split_whitespace())).expect("good flags");
        cli.engine.apply(&mut config);
        config
    }

    #[test]
    fn each_setting_has_its_flag() {
        let config = config(
            "--workflow-restrictions Secure --nodes-max 1 --nodes-per-event-max 2 --work-per-event-max 3 --depth-max 4 \
             --values-bytes-max 5 --loop-bytes-max 6Ki --message-bytes-max 7MiB --expression-steps 8 --expression-bytes 9 \
             --text-bytes 10 --loop-items 11 --expression-steps-per-event-max 12",
        );
        assert_eq!(config.restrictions, Some(TemplateReferencing::Secure));
        let counts = [config.nodes_max, config.nodes_per_event_max, config.work_per_event_max, config.depth_max];
        assert_eq!(counts, [1, 2, 3, 4]);
        assert_eq!([config.values_bytes_max, config.loop_bytes_max, config.message_bytes_max], [5, 6 << 10, 7 << 20]);
        let limits = config.limits;
        let limits = [limits.expression_steps, limits.expression_bytes, limits.text_bytes, limits.loop_items];
        assert_eq!(limits, [8, 9, 10, 11]);
        assert_eq!(config.expression_steps_per_event_max, 12);
    }

    #[test]
    fn the_defaults_that_the_help_tells_are_the_engines() {
        let config = config("");
        let bytes = |bytes: usize| Bytes(bytes).to_string();
        let defaults = [
            ("nodes_max", config.nodes_max.to_string()),
            ("nodes_per_event_max", config.nodes_per_event_max.to_string()),
            ("work_per_event_max", config.work_per_event_max.to_string()),
            ("expression_steps_per_event_max", config.expression_steps_per_event_max.to_string()),
            ("depth_max", config.depth_max.to_string()),
            ("values_bytes_max", bytes(config.values_bytes_max)),
            ("loop_bytes_max", bytes(config.loop_bytes_max)),
            ("message_bytes_max", bytes(config.message_bytes_max)),
            ("expression_steps", config.limits.expression_steps.to_string()),
            ("expression_bytes", bytes(config.limits.expression_bytes as usize)),
            ("text_bytes", bytes(config.limits.text_bytes as usize)),
            ("loop_items", config.limits.loop_items.to_string()),
        ];
        let command = Cli::command();
        for (name, default) in defaults {
            let argument = command.get_arguments().find(|argument| argument.get_id() == name).expect("a flag");
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("[default: {default}]")), "{name}: {help}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for bad in ["", "0", "0Mi", "-1", "1.5Mi", "Mi", "1M", "1 Mi", "99999999999Gi", "1Mib"] {
            assert_eq!(bad.parse::<Bytes>(), Err(BadBytes), "{bad}");
        }
        assert!(Cli::try_parse_from(["it", "--nodes-max", "0"]).is_err());
    }
}
