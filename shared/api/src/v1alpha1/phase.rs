//! Phases and node types.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The text that stands in the object.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(format!("`{text}` is none of {}", [$($text),+].join(", "))) }
            }
        }
    };
}

text_enum! {
    /// How far a node is.
    NodePhase {
        #[default]
        Unknown = "",
        /// Waits for a pod, a lock or a retry.
        Pending = "Pending",
        Running = "Running",
        Succeeded = "Succeeded",
        /// Its `when` was false, or its loop was empty.
        Skipped = "Skipped",
        Failed = "Failed",
        Error = "Error",
        /// Its `depends` was false.
        Omitted = "Omitted",
    }
}

impl NodePhase {
    /// Ended, or never to be run: dependents may proceed. Source: Argo `NodePhase.Fulfilled`.
    pub fn is_fulfilled(self) -> bool {
        self.is_completed() || matches!(self, Self::Skipped | Self::Omitted)
    }

    /// Ran to an end. Source: Argo `NodePhase.Completed`.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Error)
    }

    /// Failed or Error.
    pub fn is_failed_or_error(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

text_enum! {
    /// How far a workflow is; the empty phase is a workflow that no engine has seen yet.
    WorkflowPhase {
        #[default]
        Unknown = "",
        Pending = "Pending",
        Running = "Running",
        Succeeded = "Succeeded",
        Failed = "Failed",
        Error = "Error",
    }
}

impl WorkflowPhase {
    /// True once the workflow has ended.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Error)
    }
}

text_enum! {
    /// What a node stands for.
    NodeType {
        #[default]
        Unknown = "",
        Pod = "Pod",
        /// One container of a container set.
        Container = "Container",
        Steps = "Steps",
        StepGroup = "StepGroup",
        Dag = "DAG",
        TaskGroup = "TaskGroup",
        Retry = "Retry",
        Skipped = "Skipped",
        Suspend = "Suspend",
        Http = "HTTP",
        Plugin = "Plugin",
    }
}

impl NodeType {
    /// Counts in progress: it does work of its own. Source: Argo `progress/updater.go` `executes`.
    pub fn executes(self) -> bool {
        matches!(self, Self::Pod | Self::Container | Self::Http | Self::Plugin | Self::Suspend)
    }
}
