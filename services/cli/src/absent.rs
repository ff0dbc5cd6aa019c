//! Commands and flags of Argo's command line that are not here: said so, and not taken for slips of the pen.

/// Commands.
const COMMANDS: [&str; 7] =
    ["archive", "auth", "cluster-workflow-template", "convert", "cp", "executor-plugin", "sync"];
/// Flags of the connection to Argo's server.
const FLAGS: [&str; 7] = ["--argo-server", "--argo-base-href", "--argo-http1", "--secure", "-s", "-k", "--instanceid"];

/// What is to be said of these arguments, which are not understood.
pub fn told(arguments: &[String]) -> Option<String> {
    let command = arguments.get(1)?;
    if command == "cluster-workflow-template" {
        return Some("error: it is `argosy cluster-template`".to_owned());
    }
    if COMMANDS.contains(&command.as_str()) {
        return Some(format!(
            "error: there is no `argosy {command}`; docs/compatibility.md says which commands of `argo` there are"
        ));
    }
    let name = |argument: &String| argument.split('=').next().unwrap_or_default().to_owned();
    let flag = arguments.iter().map(name).find(|name| FLAGS.contains(&name.as_str()))?;
    Some(format!(
        "error: there is no {flag}: commands speak to the Kubernetes API of --kubeconfig, $KUBECONFIG or a running `argosy dev`, not to an Argo server"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_argo_has_is_told_and_nothing_else() {
        let told = |line: &str| told(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default();
        assert!(told("argosy archive list").contains("there is no `argosy archive`"));
        assert!(told("argosy list --argo-server=x:1").contains("there is no --argo-server"));
        assert_eq!(told("argosy lits --nothing"), "");
        assert_eq!(told("argosy"), "");
    }
}
