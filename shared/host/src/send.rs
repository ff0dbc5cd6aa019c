//! What an entity asks for is sent: published first, then timers are armed and questions asked.

use argosy_actor::{Failure, keep_unsent};
use argosy_bus::{Publish, Stream};
use tracing::Instrument as _;

use crate::live::{Live, Reached};
use crate::outbox::Error as OutboxError;
use crate::store::{Doing, QuestionOf};
use crate::{Entity as _, EntityKey as _, Outgoing, Store};

impl<S: Store> Live<S> {
    /// Steps what the log holds behind the last event, and publishes what follows from it.
    pub async fn catch_up_to(&mut self, newest: u64) -> Result<Reached, Failure> {
        let mut out = Outgoing::default();
        let reached = self.step_log(newest, &mut out, false).await?;
        self.send(out).await?;
        Ok(reached)
    }

    /// Publishes, then arms timers and asks questions.
    pub async fn send(&self, mut out: Outgoing<QuestionOf<S>>) -> Result<(), Failure> {
        out.settle();
        let span = self.shard.store.span(&self.key, Doing::Publish(out.messages.len()));
        match self.shard.outbox.publish(out.messages.clone()).instrument(span).await {
            Ok(()) => {}
            Err(OutboxError::Refused(_)) if out.messages.len() > 1 => self.send_singly(out.messages).await?,
            Err(error) => return self.refused(&out.messages, error).await,
        }
        for timer in out.disarmed {
            self.shard.timers.disarm(&self.key, &timer);
        }
        for (timer, due) in out.timers {
            self.shard.timers.arm(&self.key, timer, due, self.last);
        }
        if self.entity.is_over() {
            self.shard.timers.forget(&self.key);
        }
        for (question, id) in out.questions {
            self.shard.store.ask(&self.key, id, self.shard.base_sequence, question);
        }
        Ok(())
    }

    async fn send_singly(&self, messages: Vec<Publish>) -> Result<(), Failure> {
        for message in messages {
            if let Err(error) = self.shard.outbox.publish(vec![message.clone()]).await {
                self.refused(&[message], error).await?;
            }
        }
        Ok(())
    }

    /// One message that the bus will never take must not stop the entity's others.
    async fn refused(&self, messages: &[Publish], error: OutboxError) -> Result<(), Failure> {
        match &error {
            OutboxError::Refused(cause) if cause.is_too_large() => {
                self.shard.store.meters().poison.inc();
                let ids: Vec<_> = messages.iter().map(|message| message.id.as_str()).collect();
                self.shard
                    .store
                    .span(&self.key, Doing::Tell)
                    .in_scope(|| tracing::error!(?ids, error = &error as &dyn std::error::Error, "message dropped"));
                for message in messages {
                    keep_unsent(&self.shard.process.host, message, &format!("it was not sent: {cause}")).await;
                }
                Ok(())
            }
            OutboxError::Refused(_) | OutboxError::Stopped(_) => Err(error.into()),
        }
    }

    /// Drops of the log what is up to this event.
    pub async fn purge(&self, up_to: u64) -> Result<(), argosy_bus::Error> {
        let host = &self.shard.process.host;
        host.bus.purge(Stream::Observed, &host.observed_subject(self.key.uid()), up_to).await
    }
}
