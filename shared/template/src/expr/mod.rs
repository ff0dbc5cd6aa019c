//! The expression language of `{{=…}}` tags, `depends`, `retryStrategy.expression`, hooks and the like: expr-lang 1.17.
//!
//! ```
//! use argosy_template::expr::{Env, Program};
//! let program = Program::compile("asInt(inputs.parameters.n) * 2").unwrap();
//! let vars = serde_json::json!({"inputs": {"parameters": {"n": "21"}}});
//! assert_eq!(program.run(&Env::new(&vars).with_functions()).unwrap().display(), "42");
//! ```

mod ast;
mod budget;
mod builtins;
mod check;
mod costs;
mod env;
mod error;
mod eval;
mod functions;
mod jsonpath;
mod lexer;
mod methods;
mod names;
mod ops;
mod parser;
mod sprig;
mod value;

pub(crate) use budget::Budget;
pub use env::{Env, expand, has_variable};
pub(crate) use error::Fail;
pub use error::{Error, Place};
pub use names::LATE_VARIABLES;
pub use value::{Value, time_json};

use serde_json::Value as Json;

/// Bytes that an item of a result takes as text besides its own texts, at the most.
const RESULT_BYTES: u64 = 24;

/// A parsed expression, evaluated as often as needed.
#[derive(Debug, Clone)]
pub struct Program {
    source: Box<str>,
    root: ast::Node,
    names: Vec<String>,
    reads: Vec<String>,
    uses_env: bool,
}

impl Program {
    /// Parses the text. Names and types are checked in [`Program::run`], as they depend on the environment.
    /// Errors: `Error::Syntax`.
    pub fn compile(text: &str) -> Result<Self, Error> {
        let root = parser::parse(text).map_err(|fail| fail.into_error(text))?;
        let names = names::identifiers(&root);
        let reads = names::reads(&root);
        let uses_env = names::uses_env(&root);
        Ok(Program { source: text.into(), root, names, reads, uses_env })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Checks names and types against the environment, then evaluates.
    /// Errors: all but `Error::Syntax`; a name or type error is found even in a part that would not be evaluated.
    pub fn run(&self, env: &Env<'_>) -> Result<Value, Error> {
        self.run_within(env, &Budget::new(env.limits, env.allowance))
    }

    /// The same with what is left of a budget.
    pub(crate) fn run_within(&self, env: &Env<'_>, budget: &Budget<'_>) -> Result<Value, Error> {
        self.check(env)?;
        let value = eval::Eval::new(*env, budget).eval(&self.root);
        // Whoever asked is going to write it as text.
        let value = value.and_then(|value| budget.made_of(&value, RESULT_BYTES).map(|()| value));
        value.map_err(|fail| fail.into_error(&self.source))
    }

    /// [`Program::run`] with Argo's functions and without a clock.
    pub fn eval(&self, vars: &Json) -> Result<Value, Error> {
        self.run(&Env::new(vars).with_functions())
    }

    /// Only the check.
    pub fn check(&self, env: &Env<'_>) -> Result<(), Error> {
        check::check(&self.root, &self.source, *env).map_err(|fail| fail.into_error(&self.source))
    }

    /// The boolean the expression gives.
    /// Errors: as [`Program::run`], and `Error::NotBool`.
    pub fn run_bool(&self, env: &Env<'_>) -> Result<bool, Error> {
        match self.run(env)? {
            Value::Bool(b) => Ok(b),
            Value::Str(s) => Err(Error::NotBool { shown: s.to_string() }),
            // As Go's `%s` shows it.
            Value::Nil => Err(Error::NotBool { shown: "%!s(<nil>)".to_owned() }),
            other => Err(Error::NotBool { shown: format!("%!s({}={})", other.type_name(), other.display()) }),
        }
    }

    /// The dotted names the expression needs: `a.b` gives `a` and `a.b`; members guarded by `??` or `?.` are left out.
    pub fn identifiers(&self) -> &[String] {
        &self.names
    }

    /// The constant paths it reads from; `None` when it uses the whole environment (`$env`).
    pub(crate) fn reads(&self) -> Option<&[String]> {
        (!self.uses_env).then_some(self.reads.as_slice())
    }

    /// The names needed but in neither the variables nor (if on) the functions of `env`.
    pub fn missing(&self, env: &Env<'_>) -> Vec<&str> {
        let missing = |name: &&String| !env.has_path(&name.split('.').collect::<Vec<_>>());
        self.names.iter().filter(missing).map(String::as_str).collect()
    }

    /// Does it wait for one of the [`LATE_VARIABLES`]?
    pub fn waits_for_late_variable(&self, vars: &Json) -> bool {
        names::any_late_missing(&self.names, vars)
    }
}

/// Compiles and evaluates to a boolean, without Argo's functions, as `depends` and hook expressions do.
pub fn eval_bool(text: &str, vars: &Json) -> Result<bool, Error> {
    Program::compile(text)?.run_bool(&Env::new(vars))
}

/// The dotted names of [`Program::identifiers`].
pub fn identifiers(text: &str) -> Result<Vec<String>, Error> {
    Ok(Program::compile(text)?.names)
}

/// The names an expression needs that are not in `vars`.
pub fn missing_variables(text: &str, vars: &Json) -> Result<Vec<String>, Error> {
    let program = Program::compile(text)?;
    let env = Env::new(vars).with_functions();
    Ok(program.missing(&env).into_iter().map(str::to_owned).collect())
}
