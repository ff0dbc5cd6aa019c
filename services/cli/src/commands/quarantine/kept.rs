//! What the bus keeps of a workflow that was put out of service.

use std::path::PathBuf;

use anyhow::Context;
use argosy_bus::nats::{Nats, Options, Prefix};
use argosy_bus::{Bus as _, Quarantined};
use clap::Args;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Of a message's content so much is shown.
const SHOWN_BYTES_MAX: usize = 4096;

/// The bus that keeps it.
#[derive(Args, Debug)]
pub struct Place {
    /// The NATS server of the services, whose quarantine keeps the messages
    #[arg(long, env = "ARGOSY_NATS", value_name = "URL")]
    nats: Option<String>,
    /// Name of the installation on that server [default: argosy]
    #[arg(long, env = "ARGOSY_PREFIX", value_name = "NAME")]
    prefix: Option<Prefix>,
    /// File with credentials (JWT and seed)
    #[arg(long, env = "ARGOSY_NATS_CREDS", value_name = "FILE")]
    nats_creds: Option<PathBuf>,
    /// PEM certificates trusted in addition to the system's; turns TLS on
    #[arg(long, env = "ARGOSY_NATS_CA", value_name = "FILE")]
    nats_ca: Option<PathBuf>,
}

/// What was found.
pub enum Kept {
    /// These, in the order in which they were put last.
    Entries(Vec<Quarantined>),
    /// No bus was named.
    NotAsked,
    /// The bus does not say.
    Failed(Failure),
}

impl Place {
    /// What is kept of the workflow with this uid.
    pub async fn kept(&self, uid: &str) -> Kept {
        let Some(nats) = &self.nats else { return Kept::NotAsked };
        match self.list(nats, uid).await {
            Ok(entries) => Kept::Entries(entries),
            Err(error) => Kept::Failed(error.into()),
        }
    }

    async fn list(&self, nats: &str, uid: &str) -> anyhow::Result<Vec<Quarantined>> {
        let options = Options {
            prefix: self.prefix.clone().unwrap_or_default(),
            credentials_file: self.nats_creds.clone(),
            root_certificates: self.nats_ca.clone(),
            ..Options::default()
        };
        let bus = Nats::attach(nats, options).await.context("read what the bus keeps")?;
        bus.quarantine().list(Some(uid)).await.context("read what the bus keeps")
    }
}

impl Kept {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Entries(entries) if entries.is_empty() => "Nothing is kept on the bus.\n".to_owned(),
            Self::Entries(entries) => {
                let mut text = "Kept on the bus:\n".to_owned();
                entries.iter().for_each(|entry| text.push_str(&describe(entry)));
                text
            }
            Self::NotAsked => {
                "Messages of it are kept by the bus of the services: name it with --nats URL. Where the bus is \
                               inside the process, as in `argosy dev`, they are in there, and its log names them.\n"
                    .to_owned()
            }
            Self::Failed(_) => "What is kept on the bus is not known.\n".to_owned(),
        }
    }
}

fn describe(entry: &Quarantined) -> String {
    let times =
        if entry.count > 1 { format!(", {} times since {}", entry.count, entry.first_at) } else { String::new() };
    let mut text = format!("  {}\n    at {}{times}\n    {}\n", entry.key(), entry.at, entry.reason);
    if let Some(message) = &entry.message {
        text.push_str(&format!("    {} of {} bytes, id {}\n", message.subject, message.payload_bytes, message.id));
        match &message.payload {
            Some(payload) => {
                let shown = String::from_utf8_lossy(&payload[..payload.len().min(SHOWN_BYTES_MAX)]).into_owned();
                let more = if payload.len() > SHOWN_BYTES_MAX { " … (-o json has all)" } else { "" };
                text.push_str(&format!("    {shown}{more}\n"));
            }
            None if message.sequence == 0 => text.push_str("    the content was too large to be kept\n"),
            None => text.push_str(&format!(
                "    the content is in the stream {}, at sequence {}\n",
                message.stream.name(),
                message.sequence
            )),
        }
    }
    text
}

/// For programs. A content that is JSON is told as such, else as text.
pub fn value(entry: &Quarantined) -> Value {
    let message = entry.message.as_ref().map(|message| {
        let content = message
            .payload
            .as_ref()
            .map(|payload| serde_json::from_slice(payload).unwrap_or_else(|_| json!(String::from_utf8_lossy(payload))));
        json!({
            "stream": message.stream.name(),
            "subject": message.subject,
            "sequence": message.sequence,
            "id": message.id,
            "headers": message.headers,
            "bytes": message.payload_bytes,
            "content": content,
        })
    });
    json!({
        "key": entry.key(),
        "reason": entry.reason,
        "at": entry.at.to_string(),
        "firstAt": entry.first_at.to_string(),
        "count": entry.count,
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use argosy_bus::{Message, Stream};

    use super::*;

    fn message(payload: &[u8], sequence: u64) -> Message {
        Message {
            stream: Stream::Observed,
            subject: "argosy.observed.0.u".to_owned(),
            sequence,
            id: "an-id".to_owned(),
            headers: Default::default(),
            payload: payload.to_vec().into(),
            deliveries: 1,
        }
    }

    #[test]
    fn entries_are_told_to_people_and_programs() {
        let whole = Quarantined::workflow("u", "it panicked", jiff::Timestamp::UNIX_EPOCH);
        let one = whole.clone().message(&message(br#"{"schema":1}"#, 7));
        let large = whole.clone().message(&message(&vec![b'x'; argosy_bus::quarantine::PAYLOAD_BYTES_MAX + 1], 8));
        let unsent = whole.clone().message(&message(&[0xff, 1], 0));
        let text = Kept::Entries(vec![whole.clone(), one.clone(), large, unsent.clone()]).text();
        for word in [
            "u.WORKFLOW.0\n",
            "it panicked",
            "id an-id",
            r#"{"schema":1}"#,
            "OBSERVED, at sequence 8",
            "u.OBSERVED.an-id",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        assert_eq!(value(&whole)["message"], Value::Null);
        assert_eq!(value(&one)["message"]["content"]["schema"], 1);
        assert!(value(&unsent)["message"]["content"].is_string());
        assert!(Kept::Entries(Vec::new()).text().contains("Nothing"));
    }
}
