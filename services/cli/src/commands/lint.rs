//! `argosy lint`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::library;
use crate::{
    channel::say,
    check::{self, Library, Purpose, Rules},
    connect::Connect,
    diagnostic,
    failure::{self, Failure, Outcome},
    load, output, state,
    suggest::{self, closest},
    terminal,
};

/// Check files; all mistakes at once, each with its line
///
/// Templates that files refer to are looked for in the files themselves, and in the cluster of --kubeconfig, $KUBECONFIG
/// or a running `argosy dev`. What can run and is surely not meant is a warning. Exit code 2 when there are mistakes, or, with
/// --deny-warnings, warnings.
#[derive(Args, Debug)]
pub struct Lint {
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Only documents of these kinds: workflows,workflowtemplates,cronworkflows,clusterworkflowtemplates
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<String>,
    /// Ask no cluster for templates
    #[arg(long)]
    offline: bool,
    /// Unknown fields are mistakes; the default, and here for scripts that say it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    strict: bool,
    /// Do not warn by these rules: unused-parameter,unreachable-template,unreachable-task,later-reference,when-false,
    /// endless-retry,image-tag,plain-secret,unsupported,refused-pod. The annotation `argosy.io/lint-silence` does the same for one object
    #[arg(long, value_name = "RULES", value_delimiter = ',')]
    silence: Vec<String>,
    /// Warnings are mistakes
    #[arg(long)]
    deny_warnings: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", value_enum, default_value_t = Form::Pretty)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// With the lines of the files, on a terminal
    Pretty,
    /// One line each
    Simple,
    /// A JSON array
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// The values of `--kinds`; the singular will do, too.
const KINDS: [&str; 5] = ["workflows", "workflowtemplates", "cronworkflows", "clusterworkflowtemplates", "all"];

/// A value of `--kinds`, as it is among them.
fn kind(text: &str) -> Result<String, String> {
    let given = text.to_lowercase();
    let is_it = |kind: &&&str| ***kind == given || kind.strip_suffix('s') == Some(given.as_str());
    if let Some(kind) = KINDS.iter().find(is_it) {
        return Ok((*kind).to_owned());
    }
    Err(match closest(&given, KINDS.into_iter()) {
        Some(best) => suggest::question(best),
        None => format!("kinds are {}", KINDS.join(", ")),
    })
}

/// How long a cluster may take to list its templates.
const CLUSTER: Duration = Duration::from_secs(5);

impl Lint {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let silenced = check::advice::rules(&self.silence).map_err(Failure::Usage)?;
        let (mut documents, mut problems) = load::files(&self.files);
        failure::settle(load::nothing_in(&self.files, &documents, &problems))?;
        let wanted = |kind: &str| {
            let plural = format!("{}s", kind.to_lowercase());
            self.kinds.is_empty() || self.kinds.iter().any(|kind| *kind == "all" || *kind == plural)
        };
        documents.retain(|document| document.kind().is_empty() || wanted(document.kind()));
        documents.retain(|document| {
            let is_foreign = check::is_foreign(document);
            if is_foreign {
                let (line, _) = document.source.position(document.place.value.start);
                let said = format!("{}:{line}: a {} is not checked", document.source.name, document.kind());
                say!("skipped: {}", terminal::line(&said));
            }
            !is_foreign
        });
        if documents.is_empty() && problems.is_empty() {
            return Err(Failure::Usage("there is nothing to check in these files".to_owned()));
        }
        let library = self.library(connect).await;
        let rules = Rules { library: &library, purpose: Purpose::Lint, strict: self.strict, silenced: Some(&silenced) };
        problems.extend(check::documents(&mut documents, rules, &mut |_| Ok(())));
        let warnings = problems.iter().filter(|problem| problem.warning).count();
        let failed = problems.len() > warnings || (self.deny_warnings && warnings > 0);
        match self.output {
            Form::Json => {
                let values = serde_json::Value::Array(problems.iter().map(diagnostic::Diagnostic::json).collect());
                output::print_exact(&format!("{values:#}\n"));
            }
            Form::Sarif => output::print_exact(&format!("{:#}\n", diagnostic::sarif::log(&problems))),
            Form::Github => {
                let commands = problems.iter().map(diagnostic::github::command);
                commands.for_each(|command| output::print(&format!("{}\n", terminal::line(&command))));
            }
            Form::Simple => {
                problems.iter().for_each(|problem| output::print(&format!("{}\n", terminal::line(&problem.line()))));
                if !failed {
                    output::print("no linting errors found!\n");
                }
            }
            Form::Pretty => {
                diagnostic::report(&problems);
                if !failed {
                    output::print("✔ no linting errors found!\n");
                }
                if warnings > 0 {
                    let word = if warnings == 1 { "warning" } else { "warnings" };
                    let silence = match problems.iter().any(|problem| problem.rule.is_some()) {
                        true => "; `--silence RULE` or the annotation argosy.io/lint-silence silences a rule",
                        false => "",
                    };
                    say!("{warnings} {word}{silence}");
                }
            }
        }
        if failed { Err(Failure::Reported) } else { Ok(()) }
    }

    /// The cluster's templates, where a cluster is named.
    async fn library(&self, connect: &Connect) -> Library {
        let named = connect.kubeconfig.is_some()
            || std::env::var_os("KUBECONFIG").is_some()
            || state::dev_kubeconfig().is_some_and(|path| path.exists());
        if self.offline || !named {
            return Library::default();
        }
        let ask = async {
            let connection = connect.open_quietly().await.ok()?;
            Some(library::of_cluster(&connection.client, &connection.namespace).await)
        };
        match tokio::time::timeout(CLUSTER, ask).await {
            Ok(Some(library)) => library,
            Ok(None) | Err(_) => {
                say!("warning: the cluster does not answer; templates are looked for in the files only");
                Library::default()
            }
        }
    }
}
