//! What is answered under which path.

mod archive;
mod bindings;
mod changes;
mod create;
mod info;
mod logs;
mod stored;
mod sync;
mod watch;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};

use crate::app::App;
use stored::Stored;

/// All routes.
pub(crate) fn all() -> Router<Arc<App>> {
    Router::new().merge(workflows()).merge(stored()).merge(others())
}

fn workflows() -> Router<Arc<App>> {
    let one = "/api/v1/workflows/{namespace}/{name}";
    let of = |what: &str| format!("{one}/{what}");
    Router::new()
        .route("/api/v1/workflows", get(workflows::list))
        .route("/api/v1/workflows/", get(workflows::list))
        .route("/api/v1/workflows/{namespace}", get(workflows::list).post(create::create))
        .route("/api/v1/workflows/{namespace}/lint", post(create::lint))
        .route("/api/v1/workflows/{namespace}/submit", post(create::submit))
        .route(one, get(workflows::get).delete(workflows::delete))
        .route(&of("resubmit"), put(changes::resubmit))
        .route(&of("resume"), put(changes::resume))
        .route(&of("retry"), put(changes::retry))
        .route(&of("set"), put(changes::set))
        .route(&of("stop"), put(changes::stop))
        .route(&of("suspend"), put(changes::suspend))
        .route(&of("terminate"), put(changes::terminate))
        .route(&of("log"), get(logs::logs))
        .route(&of("{pod}/log"), get(logs::logs))
        .route("/api/v1/workflow-events", get(watch::workflows))
        .route("/api/v1/workflow-events/", get(watch::workflows))
        .route("/api/v1/workflow-events/{namespace}", get(watch::workflows))
        .route("/api/v1/stream/events", get(watch::events))
        .route("/api/v1/stream/events/", get(watch::events))
        .route("/api/v1/stream/events/{namespace}", get(watch::events))
}

fn stored() -> Router<Arc<App>> {
    let mut router = Router::new()
        .route("/api/v1/cron-workflows/{namespace}/{name}/suspend", put(stored::suspend))
        .route("/api/v1/cron-workflows/{namespace}/{name}/resume", put(stored::resume));
    for kind in Stored::ALL {
        let all = format!("/api/v1/{}", kind.path());
        let of = if kind.is_of_cluster() { all.clone() } else { format!("{all}/{{namespace}}") };
        let list = get(move |caller, place, query| stored::list(kind, caller, place, query));
        let create = move |caller, place, body| stored::create(kind, caller, place, body);
        let lint = move |caller, place, body| stored::lint(kind, caller, place, body);
        // The `argo` command names only the object: the name in the path is empty.
        let update = move |caller, place, body| stored::update(kind, caller, place, body);
        let one = get(move |caller, place, query| stored::get(kind, caller, place, query))
            .put(update)
            .delete(move |caller, place| stored::delete(kind, caller, place));
        if !kind.is_of_cluster() {
            router = router.route(&all, list.clone()).route(&format!("{all}/"), list.clone());
        }
        router = router
            .route(&of, list.post(create))
            .route(&format!("{of}/"), put(update))
            .route(&format!("{of}/lint"), post(lint))
            .route(&format!("{of}/{{name}}"), one);
    }
    router
}

fn others() -> Router<Arc<App>> {
    let bindings = "/api/v1/workflow-event-bindings";
    let archived = "/api/v1/archived-workflows/{uid}";
    Router::new()
        .route("/api/v1/info", get(info::info))
        .route("/api/v1/version", get(info::version))
        .route("/api/v1/userinfo", get(info::user))
        .route("/api/v1/tracking/event", post(info::tracking))
        .route("/healthz", get(|| async { "ok" }))
        .route(bindings, get(bindings::list))
        .route(&format!("{bindings}/"), get(bindings::list))
        .route(&format!("{bindings}/{{namespace}}"), get(bindings::list))
        .route("/api/v1/archived-workflows", get(archive::list))
        .route("/api/v1/archived-workflows-label-keys", get(archive::label_keys))
        .route("/api/v1/archived-workflows-label-values", get(archive::label_values))
        .route(archived, get(archive::not_kept).delete(archive::not_kept))
        .route(&format!("{archived}/retry"), put(archive::not_kept))
        .route(&format!("{archived}/resubmit"), put(archive::not_kept))
        .route("/api/v1/sync/{namespace}", post(sync::create))
        .route("/api/v1/sync/{namespace}/{name}", get(sync::get).put(sync::update).delete(sync::delete))
}
