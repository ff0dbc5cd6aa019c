//! Where Argo's configuration is read, and when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argosy_actor::Backoff;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};

use crate::argo_config::{Error, Settings};

type Data = BTreeMap<String, String>;

/// A ConfigMap.
pub(crate) struct Source {
    name: String,
    maps: Api<ConfigMap>,
    /// Without it everything has its default.
    is_optional: bool,
    events: BoxStream<'static, Result<Event<ConfigMap>, watcher::Error>>,
    backoff: Backoff,
    /// What was read last.
    data: Data,
    /// Keys that are not obeyed, and were told.
    told: BTreeSet<String>,
}

impl Source {
    /// The ConfigMap `name` of the client's own namespace.
    pub fn new(client: &kube::Client, name: &str, is_optional: bool) -> Self {
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher::watcher(maps.clone(), config).boxed();
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        Self { name: name.to_owned(), maps, is_optional, events, backoff, data: Data::new(), told: BTreeSet::new() }
    }

    /// What it says at the start.
    /// Errors: it cannot be had, or read.
    pub async fn first(&mut self) -> Result<Settings, Error> {
        let failed = |source| Error::Read { name: self.name.clone(), source: Box::new(source) };
        let map = match self.maps.get_opt(&self.name).await.map_err(failed)? {
            Some(map) => map,
            None if self.is_optional => ConfigMap::default(),
            None => self.maps.get(&self.name).await.map_err(failed)?,
        };
        self.data = map.data.unwrap_or_default();
        let settings = Settings::read(&self.data)?;
        self.tell(&settings);
        Ok(settings)
    }

    /// Waits until it says something else that can be read.
    pub async fn changed(&mut self) -> Settings {
        loop {
            let data = match self.events.next().await {
                Some(Ok(Event::Apply(map) | Event::InitApply(map))) => map.data.unwrap_or_default(),
                Some(Ok(Event::Delete(_))) if self.is_optional => Data::new(),
                Some(Ok(Event::Init | Event::InitDone | Event::Delete(_))) => continue,
                Some(Err(error)) => {
                    tracing::warn!(
                        config_map = self.name,
                        error = &error as &dyn std::error::Error,
                        "the configuration cannot be watched: changes wait"
                    );
                    self.backoff.wait().await;
                    continue;
                }
                None => std::future::pending().await,
            };
            self.backoff.reset();
            if data == self.data {
                continue;
            }
            match Settings::read(&data) {
                Ok(settings) => {
                    self.data = data;
                    self.tell(&settings);
                    return settings;
                }
                Err(error) => tracing::error!(
                    config_map = self.name,
                    error = &error as &dyn std::error::Error,
                    "the configuration was changed and cannot be read: it stays as it was"
                ),
            }
        }
    }

    /// Tells each key that is not obeyed once.
    fn tell(&mut self, settings: &Settings) {
        for (key, why) in &settings.unread {
            if self.told.insert(key.clone()) {
                tracing::warn!(config_map = self.name, key, why, "a key of the configuration is not obeyed");
            }
        }
    }
}
