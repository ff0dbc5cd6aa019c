//! Paths in a pod. Source: Argo `workflow/common/common.go`, `workflow/executor/emissary`.

/// The executor's program, in its image. Argosy's own.
pub const EXECUTOR: &str = "/argosy";
/// The volume that every container has.
pub const VAR_RUN_ARGO: &str = "/var/run/argo";
/// The program that stands before the user's command. `init` puts it there.
pub const ARGOEXEC: &str = "/var/run/argo/argoexec";
/// The file into which the user's program writes its progress, as lines `N/M`.
pub const PROGRESS: &str = "/var/run/argo/progress";
/// The volume with the script.
pub const STAGING: &str = "/argo/staging";
/// The script, which `init` writes.
pub const SCRIPT: &str = "/argo/staging/script";
/// The volume into which `init` puts input artifacts, by name.
pub const INPUTS: &str = "/argo/inputs/artifacts";
/// Secrets that artifacts name, as `<secret>/<key>`.
pub const SECRETS: &str = "/argo/secret";
/// Where `init` and `wait` have the volumes of the main container.
pub const MAIN_FILES: &str = "/mainctrfs";
