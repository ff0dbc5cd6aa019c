//! Which cases are run, and which are known to differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use argosy_testkit::golden::{self, Golden};
use clap::{Args, ValueEnum};

/// A folder of recorded runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// Argo's own examples and tests. All must agree, but for the known differences.
    Goldens,
    /// Mistakes, odd values, error paths. Those that this repository carries must agree.
    GoldensEdge,
}

impl Set {
    fn folder(self) -> &'static str {
        match self {
            Self::Goldens => "goldens",
            Self::GoldensEdge => "goldens-edge",
        }
    }
}

/// What all levels ask for.
#[derive(Args, Clone)]
pub struct Common {
    /// The conformance directory [default: $ARGOSY_CONFORMANCE, else ../shared/conformance beside the checkout]
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Only these cases
    #[arg(long, num_args = 1.., value_name = "ID")]
    pub case: Vec<String>,
    /// Write the verdicts as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write each final object to this directory as ID.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print every difference, not only the first two of a case
    #[arg(long)]
    pub all: bool,
}

/// What the levels ask for that run whole workflows.
#[derive(Args, Clone)]
pub struct Selection {
    #[command(flatten)]
    pub common: Common,
    /// Which recorded runs
    #[arg(long, value_enum, default_value = "goldens")]
    pub set: Set,
}

impl Selection {
    /// The recorded runs that are asked for: those that this repository carries, and those of the conformance directory.
    ///
    /// Errors: there are none, or one of them cannot be read.
    pub fn goldens(&self) -> Result<Vec<Golden>> {
        let mut all = self.carried()?;
        let beside = self.common.directory();
        if self.set == Set::Goldens || beside.join(self.set.folder()).is_dir() {
            let more = golden::read_all(&beside, self.set.folder())?;
            let known: BTreeSet<String> = all.iter().map(|golden| golden.id.clone()).collect();
            all.extend(more.into_iter().filter(|golden| !known.contains(&golden.id)));
            all.sort_by(|a, b| a.id.cmp(&b.id));
        }
        self.common.chosen(all, |golden| &golden.id)
    }

    /// The cases that must agree; none where all must.
    ///
    /// Errors: those that this repository carries cannot be read.
    pub fn agreeing(&self) -> Result<Option<BTreeSet<String>>> {
        match self.set {
            Set::Goldens => Ok(None),
            Set::GoldensEdge => Ok(Some(self.carried()?.into_iter().map(|golden| golden.id).collect())),
        }
    }

    /// What this repository carries of the set.
    fn carried(&self) -> Result<Vec<Golden>> {
        match self.set {
            // They are Argo's.
            Set::Goldens => Ok(Vec::new()),
            Set::GoldensEdge => golden::read_all(&recorded(), self.set.folder()),
        }
    }
}

impl Common {
    /// The conformance directory.
    pub fn directory(&self) -> PathBuf {
        directory(self.dir.clone())
    }

    /// Those of `all` that are asked for. Errors: one is asked for that there is not.
    pub fn chosen<T>(&self, all: Vec<T>, id: impl Fn(&T) -> &String) -> Result<Vec<T>> {
        for asked in &self.case {
            ensure!(all.iter().any(|one| id(one) == asked), "there is no case `{asked}`");
        }
        Ok(all.into_iter().filter(|one| self.case.is_empty() || self.case.contains(id(one))).collect())
    }

    /// Keeps an object of a case, if asked to.
    pub fn keep(&self, id: &str, object: &serde_json::Value) -> Result<()> {
        let Some(dir) = &self.out else { return Ok(()) };
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let path = dir.join(format!("{id}.json"));
        fs::write(&path, serde_json::to_vec_pretty(object)?).with_context(|| format!("write {}", path.display()))
    }
}

/// What this repository carries.
pub fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// The conformance directory: the one named, else `$ARGOSY_CONFORMANCE`, else the one beside the checkout.
pub fn directory(named: Option<PathBuf>) -> PathBuf {
    let from_env = || env::var_os("ARGOSY_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(from_env).unwrap_or_else(|| root().join("../shared/conformance"))
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Cases that differ for a reason that was accepted: `known-differences/<id>.txt` at every level, and
/// `known-differences/<level>/<id>.txt` at one; the reason inside.
pub fn known_differences(level: &str) -> Result<BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("known-differences");
    let mut known = reasons(&folder)?;
    known.extend(reasons(&folder.join(level))?);
    Ok(known)
}

fn reasons(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(known);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let Some(id) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".txt")) else {
            continue;
        };
        let reason = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        ensure!(!reason.trim().is_empty(), "{} gives no reason", path.display());
        known.insert(id.to_owned(), reason.trim().to_owned());
    }
    Ok(known)
}
