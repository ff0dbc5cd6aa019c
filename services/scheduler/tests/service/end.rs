//! What is left of a workflow when it has ended.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn no_deadline_fires_after_the_end_of_its_workflow() {
    let world = World::new();
    let _scheduler = world.start("a");
    let spec = json!({"activeDeadlineSeconds": 70});
    let (done, late) = (world.submit("done", spec.clone()).await, world.submit("late", spec).await);
    for key in [&done, &late] {
        world.begins(key).await;
    }
    world.pod(&done, "Succeeded").await;
    world.succeeds(&done).await;
    let before = (world.ids(&done).await, world.events(&done).await.len());
    tokio::time::sleep(Duration::from_secs(120)).await;
    // That deadlines do fire, the other shows.
    let fired = |ids: &[String]| ids.iter().filter(|id| id.contains(":timer:")).count();
    assert_eq!(fired(&world.ids(&late).await), 1, "{:?}", world.ids(&late).await);
    assert_eq!((world.ids(&done).await, world.events(&done).await.len()), before);
    assert_eq!(fired(&before.0), 0);
}
