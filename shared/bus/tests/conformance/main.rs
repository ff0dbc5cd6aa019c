//! One suite for every bus: in memory, in memory with a directory, and on a NATS server.

mod batches;
mod delivery;
mod durable;
mod leases;
mod limits;
mod memory;
mod nats;
mod quarantine;
mod server;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_bus::{Bus, Consumer, ConsumerSpec, Delivery, Publish, Stream, subject};
use futures::future::BoxFuture;

/// Where one check runs: a bus that others may share, and a shard of its own.
#[derive(Clone)]
pub struct Place {
    pub bus: Arc<dyn Bus>,
    pub shard: u16,
}

/// A named check.
pub struct Check {
    pub name: &'static str,
    pub run: fn(Place) -> BoxFuture<'static, ()>,
}

macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Check { name: stringify!($name), run: |place| Box::pin($module::$name(place)) }),*]
    };
}

/// The suite.
pub fn checks() -> Vec<Check> {
    checks![
        streams::stores_what_was_published,
        streams::a_repeated_id_is_stored_once,
        streams::a_repeat_passes_its_own_fence,
        streams::a_wrong_expectation_is_fenced,
        streams::one_of_many_racing_writers_wins,
        streams::pipelined_messages_stop_at_a_fence,
        streams::a_long_pipeline_keeps_its_order,
        streams::reads_from_a_sequence,
        streams::purges_one_subject_up_to_a_sequence,
        streams::lists_the_subjects_that_have_messages,
        streams::finds_what_is_older_than_an_age,
        streams::carries_big_payloads_and_names_too_big_ones,
        streams::refuses_bad_names,
        batches::a_batch_is_stored_whole_behind_its_fence,
        batches::a_refused_batch_leaves_nothing,
        batches::a_repeated_batch_is_stored_once,
        batches::known_ids_in_a_batch_are_left_out,
        batches::one_of_many_racing_batches_wins,
        batches::readers_see_a_batch_whole,
        batches::too_large_a_batch_is_named_and_can_be_cut,
        batches::refuses_bad_batches,
        limits::the_largest_message_is_the_same_everywhere,
        limits::the_largest_headers_are_the_same_everywhere,
        delivery::keeps_order_per_subject,
        delivery::redelivers_after_ack_wait,
        delivery::redelivers_after_a_nak,
        delivery::never_redelivers_after_term,
        delivery::progress_holds_off_redelivery,
        delivery::an_ack_empties_the_work_queue,
        delivery::a_work_queue_has_one_consumer_per_subject,
        delivery::a_vanished_consumer_loses_nothing,
        delivery::handles_of_one_name_share,
        delivery::starts_where_asked,
        delivery::stops_at_the_limit_of_unanswered,
        delivery::a_batch_waits_only_for_the_first,
        delivery::a_dropped_wait_loses_nothing,
        delivery::consumers_with_wildcards_see_their_subjects,
        delivery::purged_messages_are_not_delivered,
        delivery::consumers_conflict_and_are_forgotten,
        delivery::many_publishers_and_consumers_at_once,
        delivery::a_closed_handle_gives_back_what_it_had,
        delivery::says_how_far_a_consumer_has_settled,
        delivery::says_how_much_a_consumer_has_to_do,
        leases::one_holder_at_a_time,
        leases::a_lapsed_lease_goes_to_the_next,
        leases::renewing_keeps_a_lease,
        leases::one_of_many_racing_holders_wins,
        leases::held_leases_can_be_listed,
        leases::many_renewals_of_one_holding_lose_nothing,
        quarantine::keeps_what_nobody_could_deal_with,
        quarantine::racing_puts_are_all_counted,
    ]
}

/// Runs every check at once on one bus.
pub async fn run_all(bus: Arc<dyn Bus>) {
    let mut tasks = tokio::task::JoinSet::new();
    let mut names = BTreeMap::new();
    for (shard, check) in (1..).zip(checks()) {
        let place = Place { bus: Arc::clone(&bus), shard };
        let task = tasks.spawn(tokio::time::timeout(Duration::from_secs(60), (check.run)(place)));
        names.insert(task.id(), check.name);
    }
    let mut failed = Vec::new();
    while let Some(result) = tasks.join_next_with_id().await {
        match result {
            Ok((_, Ok(()))) => {}
            Ok((id, Err(_))) => failed.push(format!("{}: does not end", names[&id])),
            Err(error) => failed.push(format!("{}: {error}", names[&error.id()])),
        }
    }
    assert!(failed.is_empty(), "failed checks: {failed:#?}");
}

impl Place {
    pub fn event(&self, uid: &str, kind: &str) -> String {
        let (namespace, uid, kind) = ("argo".to_owned(), uid.to_owned(), kind.to_owned());
        subject::Event { shard: self.shard, namespace, uid, kind }.to_string()
    }

    pub fn events(&self) -> String {
        subject::Event::of_shard(self.shard)
    }

    pub fn command(&self, uid: &str) -> String {
        subject::Command { shard: self.shard, uid: uid.to_owned(), node: "node".to_owned() }.to_string()
    }

    /// Publishes an event whose payload is its id; gives its sequence.
    pub async fn publish(&self, uid: &str, id: &str) -> u64 {
        let id = format!("{}:{id}", self.shard);
        let ack = self.bus.publish(Publish::new(Stream::Events, self.event(uid, "T"), &id, id.clone())).await;
        ack.expect("an event is published").sequence
    }

    /// Publishes a command whose payload is its id.
    pub async fn publish_command(&self, uid: &str, id: &str) -> u64 {
        let id = format!("{}:{id}", self.shard);
        let ack = self.bus.publish(Publish::new(Stream::Commands, self.command(uid), &id, id.clone())).await;
        ack.expect("a command is published").sequence
    }

    /// A consumer of the shard's events.
    pub fn spec(&self, name: &str) -> ConsumerSpec {
        ConsumerSpec::new(Stream::Events, format!("{name}-{}", self.shard), self.events())
    }

    pub fn command_spec(&self, name: &str) -> ConsumerSpec {
        ConsumerSpec::new(Stream::Commands, format!("{name}-{}", self.shard), subject::Command::of_shard(self.shard))
    }

    pub async fn consume(&self, spec: ConsumerSpec) -> Box<dyn Consumer> {
        self.bus.consume(spec).await.expect("the consumer opens")
    }

    /// Id without the mark of the shard.
    pub fn id(&self, delivery: &Delivery) -> String {
        let start = format!("{}:", self.shard);
        delivery.message.id.strip_prefix(&start).expect("only messages of this shard").to_owned()
    }

    /// Takes `count` messages and acknowledges them; gives their ids.
    pub async fn take(&self, consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let delivery = consumer.next().await.expect("a delivery");
            ids.push(self.id(&delivery));
            delivery.ack().await.expect("an ack");
        }
        ids
    }
}

/// Whether nothing comes for a while.
pub async fn is_silent(consumer: &mut Box<dyn Consumer>, wait: Duration) -> bool {
    consumer.next_batch(1, wait).await.expect("a batch").is_empty()
}

pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
