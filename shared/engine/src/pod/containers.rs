//! The containers of a pod.

use argosy_api::executor::{Part, WRAPPER, paths};
use argosy_api::v1alpha1::*;
use serde_json::{Map, Value, json};

use crate::ops::strategic::{self, Schema};

use super::{
    environment,
    input::{Error, INIT, MAIN, PodInput, WAIT},
    volumes,
};

/// The container that clients show first.
pub(super) fn default_container(template: &Template) -> &str {
    let Some(set) = &template.container_set else {
        return MAIN;
    };
    let main = set.containers.iter().find(|c| c.container.name == MAIN).or(set.containers.first());
    main.map_or(MAIN, |c| &c.container.name)
}

/// `initContainers`, `containers` and `volumes` of the pod.
pub(super) fn pod_containers(input: &PodInput<'_>) -> Result<Map<String, Value>, Error> {
    let template = input.template;
    let secrets = volumes::artifact_secrets(input)?;
    let mut mains = main_containers(input)?;
    if template.resource.is_some() || template.data.is_some() {
        mains.iter_mut().for_each(|main| main.volume_mounts.extend(secrets.mounts()));
    }
    if let Some(defaults) = &input.config.main_container
        && (template.container.is_some() || template.container_set.is_some() || template.script.is_some())
    {
        for main in &mut mains {
            *main = over(defaults, main)?;
        }
    }
    let user_mounts: Vec<Value> = mains.iter().flat_map(|c| c.volume_mounts.iter().cloned()).collect();
    for container in &mut mains {
        let own = std::mem::take(&mut container.volume_mounts);
        container.volume_mounts = volumes::main_mounts(template, &container.name, own);
        wrap(container);
        let name = container.name.clone();
        container.env.extend(environment::variables(input, &name, false));
    }
    let mirrored = mains.iter().find(|c| c.name == MAIN).or(mains.first());
    let mirrored: Vec<Value> = mirrored.map(|c| c.volume_mounts.clone()).unwrap_or_default();

    let executor = |name: &str, part: Part, mounts: Vec<Value>| {
        let mut container = json!({
            "name": name, "image": input.config.executor_image, "command": part.words(),
            "env": environment::variables(input, name, true), "volumeMounts": mounts,
        });
        let settings = input.config.executor.as_ref().and_then(Value::as_object);
        for (member, value) in settings.into_iter().flatten() {
            match (member.as_str(), &mut container["env"]) {
                ("imagePullPolicy" | "resources" | "securityContext", _) => container[member] = value.clone(),
                ("env", Value::Array(env)) => env.extend(value.as_array().into_iter().flatten().cloned()),
                // The image and what runs in it are ours, whatever Argo's is called.
                _ => {}
            }
        }
        container
    };
    let mut init_mounts = volumes::init_mounts(template, &user_mounts);
    init_mounts.extend(secrets.mounts());
    let mut wait_mounts = volumes::wait_mounts(&mirrored);
    wait_mounts.extend(secrets.mounts());

    let mut inits = vec![executor(INIT, Part::Init, init_mounts)];
    for user in &template.init_containers {
        inits.push(serde_json::to_value(companion(input, user, &mirrored, false))?);
    }
    let mut containers = vec![executor(WAIT, Part::Wait, wait_mounts)];
    for main in &mains {
        containers.push(serde_json::to_value(main)?);
    }
    for user in &template.sidecars {
        containers.push(serde_json::to_value(companion(input, user, &mirrored, true))?);
    }
    let volumes = volumes::pod_volumes(input, &inits, &containers, &secrets)?;
    let parts = [("initContainers", inits), ("containers", containers), ("volumes", volumes)];
    Ok(parts.into_iter().map(|(name, list)| (name.to_owned(), Value::Array(list))).collect())
}

/// The user's main containers, with nothing of ours in them yet.
fn main_containers(input: &PodInput<'_>) -> Result<Vec<Container>, Error> {
    let template = input.template;
    let ours = |part: Part, argument: String| Container {
        name: MAIN.to_owned(),
        image: input.config.executor_image.clone(),
        command: part.words().into_iter().map(str::to_owned).chain([argument]).collect(),
        ..Container::default()
    };
    Ok(if let Some(container) = &template.container {
        vec![Container { name: MAIN.to_owned(), ..container.clone() }]
    } else if let Some(set) = &template.container_set {
        let with_mounts = |node: &ContainerNode| {
            let mut container = node.container.clone();
            volumes::add_missing(&mut container.volume_mounts, &set.volume_mounts);
            container
        };
        set.containers.iter().map(with_mounts).collect()
    } else if let Some(script) = &template.script {
        let mut container = Container { name: MAIN.to_owned(), ..script.container.clone() };
        if !script.source.is_empty() {
            container.args.push(paths::SCRIPT.to_owned());
        }
        vec![container]
    } else if let Some(resource) = &template.resource {
        vec![ours(Part::Resource, resource.action.clone())]
    } else if let Some(data) = &template.data {
        vec![ours(Part::Data, serde_json::to_string(data)?)]
    } else {
        return Err(Error::NotAPod { template: template.name.clone() });
    })
}

/// The container, over what the installation's main containers have by default.
fn over(defaults: &Value, container: &Container) -> Result<Container, Error> {
    let mut defaults = defaults.clone();
    // A list member is found by its name.
    defaults["name"] = json!(container.name);
    let mut pod = json!({ "containers": [defaults] });
    strategic::merge(&mut pod, json!({ "containers": [container] }), Schema::Pod);
    let merged = pod.pointer_mut("/containers/0").map(Value::take).unwrap_or_default();
    from_value(merged).map_err(Error::Encode)
}

/// Puts the wrapper in front of the user's command.
fn wrap(container: &mut Container) {
    container.command.splice(0..0, WRAPPER.map(str::to_owned));
}

/// A sidecar or an init container of the user's.
///
/// A sidecar is wrapped, so that `wait` can end it.
fn companion(input: &PodInput<'_>, user: &UserContainer, mirrored: &[Value], is_sidecar: bool) -> Container {
    let mut container = user.container.clone();
    if user.mirror_volume_mounts == Some(true) {
        volumes::add_missing(&mut container.volume_mounts, mirrored);
    }
    volumes::add_missing(&mut container.volume_mounts, &[volumes::shared_mount()]);
    if is_sidecar {
        wrap(&mut container);
    }
    let name = container.name.clone();
    container.env.extend(environment::variables(input, &name, false));
    container
}
