//! Manifests in, arguments out.

use serde_json::{Value, json};

use super::*;

fn args(flavor: Flavor, container: Value, spec: Value, keep_log: bool) -> Result<String, String> {
    let mut spec = spec;
    let mut main = json!({"name": "main", "image": "busybox"});
    for (key, value) in container.as_object().expect("an object") {
        main[key] = value.clone();
    }
    spec["containers"] = json!([main]);
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let container = &pod.spec.as_ref().expect("a spec").containers[0];
    let env = container.env.iter().flatten();
    let env = env.map(|v| (v.name.clone(), v.value.clone().unwrap_or_default())).collect();
    let argv: Vec<_> = container.command.iter().flatten().cloned().collect();
    let binds = [
        Bind { at: "/v".into(), source: "/host/v".into(), read_only: false },
        Bind { at: "/a,b".into(), source: "/host/\"q\"".into(), read_only: true },
    ];
    let create = Create {
        flavor,
        node: "/data",
        pod: &pod,
        container,
        hostname: "p-.",
        image: "busybox",
        argv: &argv,
        env: &env,
        env_file: env_file(&env).map(|_| Path::new("/f")),
        binds: if container.volume_mounts.is_some() { &binds } else { &[] },
        keep_log,
    };
    Ok(create.args()?.join(" "))
}

/// What every container has, up to the arguments that follow from its manifest.
const ALWAYS: &str = "create --name argosy_main_p_u --label io.argosy.node=/data --label io.argosy.pod-uid=u \
    --label io.argosy.pod=p --label io.argosy.namespace=n --label io.argosy.container=main --hostname p \
    --pull never --init --no-healthcheck --network host --security-opt label=disable --log-driver";

#[test]
fn the_engines_differ_in_little() {
    let of = |flavor, keep| args(flavor, json!({"command": ["sh", "-c", "a b"]}), json!({}), keep);
    let tail = "--entrypoint sh busybox -c a b";
    assert_eq!(of(Flavor::Docker, false), Ok(format!("{ALWAYS} none {tail}")));
    assert_eq!(of(Flavor::Docker, true), Ok(format!("{ALWAYS} json-file --log-opt max-size=50m {tail}")));
    assert_eq!(
        of(Flavor::Podman, true),
        Ok(format!("{ALWAYS} k8s-file --log-opt max-size=50m --http-proxy=false {tail}"))
    );
}

#[test]
fn arguments_follow_the_manifest() {
    let table = [
        (json!({"workingDir": "/w", "tty": true, "stdin": true}), json!({}), "--workdir /w --interactive --tty"),
        (
            json!({"env": [{"name": "SECRET", "value": "s"}, {"name": "PATH", "value": "/p"}, {"name": "HTTP_PROXY", "value": "x"}]}),
            json!({}),
            "--env-file /f",
        ),
        (
            json!({"env": [{"name": "SECRET", "value": "s\nt"}, {"name": "LD_PRELOAD", "value": "a\nb"}, {"name": "A*", "value": "x"}]}),
            json!({}),
            "--env A*=x --env LD_PRELOAD=a\nb --env SECRET",
        ),
        (
            json!({"resources": {"limits": {"cpu": "250m", "memory": "1Mi", "nvidia.com/gpu": 1}, "requests": {"cpu": 9}}}),
            json!({}),
            "--cpus 0.25 --memory-swap 1048576 --memory 1048576",
        ),
        (
            json!({}),
            json!({"securityContext": {"runAsUser": 1, "fsGroup": 2, "supplementalGroups": [3]}}),
            "--user 1 --group-add 2 --group-add 3",
        ),
        (
            json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 7}}),
            json!({"securityContext": {"runAsUser": 1}}),
            "--user 1000:7",
        ),
        (
            json!({"securityContext": {"privileged": true, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}}),
            json!({}),
            "--cap-drop ALL --cap-add NET_ADMIN --privileged --read-only --security-opt no-new-privileges",
        ),
        (
            json!({"volumeMounts": []}),
            json!({}),
            "--mount type=bind,source=/host/v,target=/v --mount type=bind,\"source=/host/\"\"q\"\"\",\"target=/a,b\",readonly",
        ),
        (
            json!({}),
            json!({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]}),
            "--add-host a:10.0.0.1 --add-host b:10.0.0.1",
        ),
    ];
    for (mut container, spec, expected) in table {
        container["command"] = json!(["true"]);
        let all = args(Flavor::Docker, container, spec, false);
        assert_eq!(all, Ok(format!("{ALWAYS} none {expected} --entrypoint true busybox")));
    }
}

#[test]
fn only_names_on_the_list_reach_the_environment_of_the_engine() {
    // In a file nothing is obeyed, whatever its name.
    for key in ["PATH", "LD_PRELOAD", "DOCKER_HOST", "GODEBUG", "a.b-c", "_X"] {
        assert_eq!(way(key, "plain: value=1 #é"), Way::File, "{key}");
    }
    for value in ["two\nlines", "a\rb", "\"quoted\"", "it's", "back\\slash", &"x".repeat(FILE_VALUE_BYTES_MAX + 1)] {
        for key in [
            "PATH",
            "LD_PRELOAD",
            "DOCKER_HOST",
            "DOCKER_TLS_KEY",
            "CONTAINERS_KEY",
            "GODEBUG",
            "GLIBC_TUNABLES",
            "SSL_CERT_FILE",
            "NEVER_HEARD_OF",
            "A*",
            "A B_KEY",
            "",
            "https_proxy",
            "XDG_RUNTIME_DIR",
        ] {
            assert_eq!(way(key, value), Way::Line, "{key}");
        }
        for key in ["ARGO_TEMPLATE", "ARGOSY_X", "TLS_KEY", "SECRET", "DB_PASSWORD", "GCP_CREDENTIALS_JSON"] {
            assert_eq!(way(key, value), Way::Environment, "{key}");
        }
    }
    let env = [("A", "1"), ("B", "x\ny"), ("C", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(env_file(&env.into()).as_deref(), Some("A=1\nC=\n"));
    assert_eq!(env_file(&BTreeMap::new()), None);
}

#[test]
fn what_cannot_be_is_refused() {
    assert_eq!(args(Flavor::Docker, json!({}), json!({}), false), Err("no command specified".into()));
    let limits = json!({"command": ["true"], "resources": {"limits": {"memory": "much"}}});
    let text = "limits.memory: \"much\" is not a quantity";
    assert_eq!(args(Flavor::Docker, limits, json!({}), false), Err(text.into()));
}
