//! In what Docker and Podman differ.

/// A container engine with Docker's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Docker, 20.10 or newer.
    Docker,
    /// Podman, 4.0 or newer.
    Podman,
}

impl Flavor {
    /// The program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The engine of this program.
    pub fn of_program(program: &str) -> Option<Self> {
        [Self::Docker, Self::Podman].into_iter().find(|flavor| flavor.program() == program)
    }

    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        }
    }

    /// Arguments that print the version of what really runs containers, and fail when it cannot.
    pub fn version(self) -> [&'static str; 3] {
        match self {
            Self::Docker => ["version", "--format", "{{.Server.Version}}"],
            Self::Podman => ["info", "--format", "{{.Version.Version}}"],
        }
    }

    /// The log driver whose logs can be read again after the node was restarted.
    pub fn log_driver(self) -> &'static str {
        match self {
            Self::Docker => "json-file",
            Self::Podman => "k8s-file",
        }
    }

    /// Arguments of `create` that only this engine needs.
    pub fn create(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &[],
            // else it hands the host's proxy settings, which may hold a password, to every container
            Self::Podman => &["--http-proxy=false"],
        }
    }

    /// `cp` out of a container, links followed.
    pub fn copy(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["cp", "--follow-link"],
            Self::Podman => &["cp"],
        }
    }

    /// The name to pull an image by. Kubernetes takes a name without a registry for Docker Hub's; Podman asks its own
    /// configuration, or the user.
    pub fn pull_name(self, image: &str) -> String {
        let (head, rest) = image.split_once('/').map_or(("", image), |(head, rest)| (head, rest));
        let has_registry = !rest.is_empty() && (head.contains(['.', ':']) || head == "localhost");
        match self {
            Self::Podman if head.is_empty() => format!("docker.io/library/{image}"),
            Self::Podman if !has_registry => format!("docker.io/{image}"),
            Self::Docker | Self::Podman => image.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flavor;

    #[test]
    fn podman_pulls_short_names_from_docker_hub() {
        for (image, name) in [
            ("busybox", "docker.io/library/busybox"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("argoproj/argosay:v2", "docker.io/argoproj/argosay:v2"),
            ("quay.io/a/b:1", "quay.io/a/b:1"),
            ("localhost/mine", "localhost/mine"),
            ("registry:5000/mine@sha256:0", "registry:5000/mine@sha256:0"),
        ] {
            assert_eq!(Flavor::Podman.pull_name(image), name);
            assert_eq!(Flavor::Docker.pull_name(image), image);
        }
    }
}
