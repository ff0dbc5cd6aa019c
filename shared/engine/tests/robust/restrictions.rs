//! `workflowRestrictions`: who may only run templates cannot run anything else. With what Argo's advisories tell of.

use argosy_api::{message::Observed, v1alpha1::Workflow};
use argosy_engine::{Command, Config, TemplateReferencing};
use serde_json::{Value, json};

use crate::play::{Play, changed, object};

const MODES: [TemplateReferencing; 2] = [TemplateReferencing::Strict, TemplateReferencing::Secure];

fn template(args: &str) -> Value {
    json!({"metadata": {"name": "t", "namespace": "ns"}, "spec": {"entrypoint": "m", "templates": [
        {"name": "m", "steps": [[{"name": "a", "template": "p"}], [{"name": "b", "template": "p"}]]},
        {"name": "p", "container": {"image": "approved", "command": ["c"], "args": [args]}},
    ]}})
}

fn reference() -> Value {
    json!({"workflowTemplateRef": {"name": "t"}})
}

/// The workflow of these members beside a reference; its template is found when it is asked for.
fn run(mode: Option<TemplateReferencing>, object: Workflow) -> Play {
    let mut play = Play::new(object, Config { restrictions: mode, ..Config::default() });
    answer(&mut play, "x");
    play
}

fn answer(play: &mut Play, args: &str) {
    while let Some(key) = play.lookups.pop_front() {
        play.feed(Observed::LookedUp { key, object: Some(template(args)), refused: String::new() });
    }
}

fn with(members: Value) -> Workflow {
    let mut spec = reference();
    spec.as_object_mut().expect("a map").extend(members.as_object().expect("a map").clone());
    object(spec)
}

fn images(commands: &[Command]) -> String {
    commands
        .iter()
        .map(|command| {
            if let Command::Cluster { command, .. } = command {
                serde_json::to_string(command).unwrap_or_default()
            } else {
                String::new()
            }
        })
        .collect()
}

#[test]
fn a_workflow_must_come_from_a_template() {
    for mode in MODES {
        let spec =
            json!({"entrypoint": "p", "templates": [{"name": "p", "container": {"image": "i", "command": ["c"]}}]});
        let play = run(Some(mode), object(spec));
        assert_eq!(play.phase(), "Error");
        assert_eq!(
            play.message(),
            "workflows must use workflowTemplateRef to be executed when the controller is in reference mode"
        );
        assert!(play.pods.is_empty());
        let play =
            run(Some(mode), with(json!({"arguments": {"parameters": [{"name": "a", "value": "b"}]}, "priority": 3})));
        assert_eq!((play.phase().as_str(), play.pods.len()), ("Running", 1), "{}", play.message());
    }
}

/// CVE-2026-31892 (GHSA-3wf5-g532-rcrr): a patch of the pod. GHSA-3775-99mw-8rp4: other members that end up in pods.
/// GHSA-48p8-g2fx-3wwm: the patch of the pod that collects artifacts. And what could replace the template's own.
#[test]
fn nothing_beside_the_reference_may_change_what_pods_are() {
    let hook = json!({"exit": {"template": "own"}});
    let own = json!([{"name": "p", "container": {"image": "evil", "command": ["c"]}}]);
    for (field, members) in [
        ("PodSpecPatch", json!({"podSpecPatch": "{\"containers\":[{\"name\":\"main\",\"image\":\"evil\"}]}"})),
        ("HostNetwork", json!({"hostNetwork": true})),
        ("ServiceAccountName", json!({"serviceAccountName": "admin"})),
        ("SecurityContext", json!({"securityContext": {"runAsUser": 0}})),
        ("Templates", json!({"templates": own})),
        ("Hooks", json!({"hooks": hook})),
        ("OnExit", json!({"onExit": "own"})),
        ("TemplateDefaults", json!({"templateDefaults": {"container": {"image": "evil"}}})),
        ("Volumes", json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
        ("Tolerations", json!({"tolerations": [{"operator": "Exists"}]})),
        ("Parallelism", json!({"parallelism": 100})),
        ("ArtifactGC.PodSpecPatch", json!({"artifactGC": {"podSpecPatch": "{}"}})),
        ("ArtifactGC.ServiceAccountName", json!({"artifactGC": {"serviceAccountName": "admin"}})),
    ] {
        for mode in MODES {
            let play = run(Some(mode), with(members.clone()));
            let expected = format!(
                "fields [{field}] are not permitted when using workflowTemplateRef with templateReferencing restriction"
            );
            assert_eq!((play.phase().as_str(), play.message()), ("Error", expected.as_str()));
            assert!(play.pods.is_empty());
        }
        let play = run(None, with(members));
        assert_ne!(play.phase(), "Error", "{field}: {}", play.message());
    }
}

#[test]
fn an_edit_of_a_running_workflow_is_held_to_the_same() {
    for mode in MODES {
        let mut play = run(Some(mode), with(json!({})));
        let mut edited = play.engine.object().clone();
        edited.spec.active_deadline_seconds = Some(600);
        play.feed(changed(edited.clone(), false));
        assert_eq!(play.phase(), "Running");
        edited.spec.pod_spec_patch = "{}".into();
        play.feed(changed(edited, false));
        assert_eq!(play.phase(), "Error");
        let mut play = run(Some(mode), with(json!({})));
        let mut edited = play.engine.object().clone();
        edited.spec.workflow_template_ref = None;
        play.feed(changed(edited, false));
        assert_eq!(play.phase(), "Error");
    }
}

#[test]
fn what_the_status_says_of_templates_is_not_believed() {
    let evil = json!({"entrypoint": "m", "templates": [
        {"name": "m", "steps": [[{"name": "a", "template": "p"}], [{"name": "b", "template": "p"}]]},
        {"name": "p", "container": {"image": "evil", "command": ["c"]}},
    ]});
    let stored: argosy_api::v1alpha1::WorkflowSpec = argosy_api::v1alpha1::from_value(evil).expect("fits");
    for mode in MODES {
        // Put there when it is created.
        let mut forged = with(json!({}));
        forged.status.stored_workflow_template_spec = Some(stored.clone());
        forged.status.stored_templates.insert("local//p".into(), stored.templates[1].as_ref().clone());
        let play = run(Some(mode), forged);
        assert!(images(&play.last).contains("approved") && !images(&play.last).contains("evil"), "{mode:?}");

        // Put there later.
        let mut play = run(Some(mode), with(json!({})));
        let mut edited = play.engine.object().clone();
        edited.status.stored_workflow_template_spec = Some(stored.clone());
        play.feed(changed(edited.clone(), true));
        play.end_pod("wf[0].a", "Succeeded");
        assert!(images(&play.last).contains("approved"), "{mode:?}: {}", play.message());

        // And a new owner finds it in the object.
        play.engine = argosy_engine::Workflow::new(play.config.clone(), edited, play.sequence);
        let commands = play.engine.resume(play.now);
        play.lookups
            .extend(commands.into_iter().filter_map(|c| if let Command::Lookup(key) = c { Some(key) } else { None }));
        answer(&mut play, "x");
        assert!(!images(&play.last).contains("evil"), "{mode:?}");
        match mode {
            TemplateReferencing::Strict => assert_eq!(play.phase(), "Running", "{}", play.message()),
            TemplateReferencing::Secure => assert_eq!(
                (play.phase().as_str(), play.message()),
                (
                    "Error",
                    "workflowTemplateRef reference may not change during execution when the controller is in reference mode"
                )
            ),
        }
    }
}

#[test]
fn under_secure_the_template_may_not_change() {
    for (args, expected) in [("x", "Running"), ("changed", "Error")] {
        let mut play = run(Some(TemplateReferencing::Secure), with(json!({})));
        // A suspend, a stop and a deadline are edits that a workflow may have.
        let mut object = play.engine.object().clone();
        object.spec.active_deadline_seconds = Some(1000);
        play.feed(changed(object, false));
        let text = serde_json::to_string(play.engine.object()).expect("JSON");
        let object: Workflow = serde_json::from_str(&text).expect("reads");
        play.engine = argosy_engine::Workflow::new(play.config.clone(), object, play.sequence);
        let commands = play.engine.resume(play.now);
        play.lookups
            .extend(commands.into_iter().filter_map(|c| if let Command::Lookup(key) = c { Some(key) } else { None }));
        answer(&mut play, args);
        assert_eq!(play.phase(), expected, "{}", play.message());
    }
}
