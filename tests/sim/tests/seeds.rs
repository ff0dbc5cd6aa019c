//! The world in the test suite: every workflow once, seeds that failed once, and bugs put in on purpose, which must be
//! found. `argosy-sim --exhaustive` and `--seeds` do the rest.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use argosy_sim::{Change, Crash, Edit, Grown, Plan, Plant, Role, Sick, When, corpus, corpus::Case, run};

fn broken(plan: &Plan) -> Vec<String> {
    run(plan).expect("the world can be built").broken
}

/// Runs seeds that have names, by the program: runs of one process go one after another, so each processor has a process.
fn hold(world: &str, named: &[(&str, &[u64])]) {
    let seeds: Vec<u64> = named.iter().flat_map(|(_, seeds)| *seeds).copied().collect();
    let processes = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let run = |process: usize| {
        let share: Vec<String> = seeds.iter().skip(process).step_by(processes).map(u64::to_string).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_argosy-sim"));
        command.args(["--world", world, "--seed", &share.join(",")]).stdout(Stdio::piped());
        (share.len(), command.spawn().expect("the program starts"))
    };
    for (count, child) in (0..processes).map(run).collect::<Vec<_>>() {
        let output = child.wait_with_output().expect("the program ends");
        let told = String::from_utf8_lossy(&output.stdout);
        let ran = told.contains(&format!("{count} passed, 0 failed"));
        assert!(output.status.success() && ran, "{told}\nwhat was wrong with these seeds once: {named:#?}");
    }
}

#[test]
fn all_workflows_end_when_nothing_goes_wrong() {
    for name in corpus::names() {
        assert_eq!(broken(&Plan::calm(name)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn all_workflows_of_the_grown_world_end_when_nothing_goes_wrong() {
    for name in corpus::grown_names() {
        let plan = Plan { grown: Some(Grown::default()), ..Plan::calm(name) };
        assert_eq!(broken(&plan), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn each_sick_neighbour_ends_and_harms_nobody() {
    for sick in Sick::ALL {
        let grown = Some(Grown { sick: vec![sick], ..Grown::default() });
        let mut plan = Plan { grown, ..Plan::calm("nested") };
        plan.workflows.extend([Case::argo("loop"), Case { namespace: corpus::OTHER, name: "nested" }]);
        assert_eq!(broken(&plan), Vec::<String>::new(), "{sick:?}");
    }
}

#[test]
fn workflows_under_a_quota_edited_and_retried_end_when_nothing_goes_wrong() {
    let mut plan = Plan::calm("wide");
    plan.workflows.extend([Case::argo("retry-exhausted"), Case::argo("suspend-dag")]);
    let edit = |workflow, what| Edit { at: Duration::from_secs(2), workflow: Case::argo(workflow), what };
    let edits = vec![
        edit("wide", Change::Parallelism(2)),
        edit("suspend-dag", Change::Suspend(Duration::from_secs(8))),
        edit("retry-exhausted", Change::Label),
    ];
    plan.grown = Some(Grown { quota: Some(4), edits, retries: true, ..Grown::default() });
    assert_eq!(broken(&plan), Vec::<String>::new());
}

/// Seeds of the grown world that failed once, by what was wrong, and a few for everything that it has.
const GROWN_SEEDS: [(&str, &[u64]); 23] = [
    ("nothing was", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("a pod that its node had ended for being late did not end in this world", &[12]),
    ("a timer that fired while the workflow was suspended was not told to its new owner", &[827]),
    ("a workflow was rebuilt by a spec that had been edited past its watermark", &[1_000_538]),
    ("half of what one sequence had changed was written, and the new owner missed the other", &[1_001_695]),
    ("a pod was wished for that a shutdown had stopped before the bus was lost", &[1_000_383]),
    ("a pod was created for a wish that its own step took back", &[1_001_106]),
    ("a workflow that was retried from nothing was begun by nobody", &[1_003_497]),
    ("a new owner wished for a pod that a deadline, long due, took back at once", &[1_002_720]),
    ("what waited for a lookup was taken to happen when its answer came", &[2_003_287]),
    ("an edit that was taken back was not adopted by a new owner, who then followed it for ever", &[2_005_904]),
    ("a stop of a pod before the retry was delivered again, and ended the pod after it", &[2_003_200, 2_003_777]),
    ("what a memoized call had found was kept while it waited, where a new owner had to look", &[2_003_803]),
    ("a shutdown that only the object told of took back a wish that had been sent", &[2_004_183]),
    ("a copy of a pod in another namespace hid a pod that had outlived its workflow", &[3_010_594]),
    ("a workflow of a template that was suspended was not resumed", &[6_003_321, 6_000_305]),
    ("a wish that came late brought back a pod that had ended", &[6_011_845]),
    ("a daemon was taken for lost that only a lost bus knew to be stopped, which is excused", &[6_003_669]),
    ("a late report of the pod before a retry was taken for the new one's", &[4_004_182]),
    ("a creation on the wire of one that froze before it died was excused for the wrong moment", &[7_007_015]),
    ("a new owner did not wait for an exit handler that ran when its workflow was terminated", &[3_012_084]),
    ("a retry whose wait was over while it was suspended waited again under a new owner", &[4_005_132]),
    ("a node ran again that only a lost bus knew of, which is excused", &[2_001_261, 2_004_451]),
];

#[test]
fn seeds_of_the_grown_world() {
    hold("grown", &GROWN_SEEDS);
}

#[test]
fn all_workflows_with_locks_end_when_nothing_goes_wrong() {
    for name in corpus::locked_names() {
        let plan = Plan { locked: Some(None), ..Plan::calm(name) };
        assert_eq!(broken(&plan), Vec::<String>::new(), "{name}");
    }
    // One that is deleted while it has what all others want.
    let mut plan = Plan { locked: Some(Some(Duration::from_secs(3))), ..Plan::calm("lock-steps") };
    plan.workflows.extend([Case::argo("lock-workflow"), Case::argo("lock-retry")]);
    assert_eq!(broken(&plan), Vec::<String>::new());
}

/// Seeds of the world of locks that failed once, by what was wrong, and a few for everything that it has.
const LOCKED_SEEDS: [(&str, &[u64]); 8] = [
    ("nothing was", &[1, 2, 3, 4, 5, 6]),
    ("who held a lock waited for one behind the first in its queue, which waited for the former", &[16]),
    (
        "the pod of a node that waits for a lock, as only a lost bus knew that it had it, was taken for an orphan's",
        &[20],
    ),
    ("a new owner took the answer to what its predecessor had asked for one of before", &[126]),
    ("after the loss of the bus a node asked for a lock before that which had it said so, and a list was old", &[5075]),
    ("a grant that was under way when the bus was lost came on the next", &[5214]),
    ("what an owner of before the loss sent on the next bus passed for what its successor sends", &[20473]),
    ("a wish that came back had a pod wished for that was there already", &[30724]),
];

#[test]
fn seeds_of_the_world_of_locks() {
    hold("locked", &LOCKED_SEEDS);
}

#[test]
fn equal_seeds_give_equal_runs() {
    // With everything: replicas that come and go, a lost bus, a termination.
    for seed in [3, 45, 61] {
        for plan in [Plan::of_seed(seed), Plan::grown(seed), Plan::locked(seed)] {
            let notes = || run(&plan).expect("the world can be built").notes;
            let first = notes();
            assert!(!first.is_empty(), "seed {seed} has no faults, so this shows nothing");
            assert_eq!(first, notes(), "seed {seed}");
        }
    }
}

/// Seeds of the first world that failed once, by what was wrong.
const SEEDS_THAT_FAILED: [(&str, &[u64]); 14] = [
    ("a pod was created for a wish that had waited for a new owner while the workflow was terminated", &[45]),
    ("a status edited before the end, and reported after it, ran the workflow again", &[53]),
    ("a list of workflows that was stale hid a pod whose end the lost bus had taken along", &[57]),
    ("a conflict put a whole node over somebody's edit of it", &[66]),
    ("how a pod was that had begun by a stale report only was asked by nobody after its wish was left out", &[2995]),
    // S1
    (
        "a wish for a pod was delivered again after the pod had ended or had been stopped, and brought it back",
        &[2592, 3867, 4956, 5429, 7261],
    ),
    // L1
    (
        "a new owner took its workflows from a list that was stale, and nobody took up the one it lacked",
        &[1774, 3510, 5129, 6204],
    ),
    // L3
    (
        "after the bus was lost, the pod of a node that had ended belonged to nobody who would stop it",
        &[1002, 2173, 2241],
    ),
    // S7
    (
        "the node of another attempt was published, its addition to the retry was lost, and the retry made one more",
        &[2432, 4013],
    ),
    // L2
    (
        "what a pod did was told before the wish for it was acknowledged, so that who asked anew was not told again",
        &[1132, 1500, 4547],
    ),
    ("an event that another owner had folded was waited for", &[2485]),
    ("pods whose nodes the lost bus had taken along outlived a workflow that ended before it began", &[3621]),
    ("a pod was wished for that a shutdown had stopped before the bus was lost", &[100_457, 100_828, 100_863]),
    ("several of these together, under lost messages and owners that changed", &[30647, 30864, 30917]),
];

#[test]
fn seeds_that_failed_once() {
    hold("first", &SEEDS_THAT_FAILED);
}

#[test]
fn crashes_that_failed_once() {
    let crash = |at, when| Some((Role::Scheduler, Crash { at, when }));
    // A new owner took up no workflow that only waited for a timer.
    let suspend = Plan { crash: crash(3, When::After), ..Plan::calm("suspend") };
    assert_eq!(broken(&suspend), Vec::<String>::new());
    // A retry's timer that fired after a new owner had gone on without it ended the retry.
    let retry = Plan { crash: crash(12, When::After), ..Plan::calm("retry") };
    assert_eq!(broken(&retry), Vec::<String>::new());
}

/// Whether a run of `plan` with the planted bug breaks the rule, and one without it none.
fn finds(plan: Plan, plant: Plant, rule: &str) {
    assert_eq!(broken(&plan), Vec::<String>::new(), "without the bug");
    let found = broken(&Plan { plant: Some(plant), ..plan });
    assert!(found.iter().any(|text| text.starts_with(rule)), "{plant:?}: {found:?}");
}

#[test]
fn a_terminated_workflow_whose_pods_stay_is_found() {
    let terminated = Plan { terminate: Some(Duration::from_secs(5)), ..Plan::calm(corpus::ENDLESS) };
    finds(terminated, Plant::KeepsPods, "L3");
}

#[test]
fn a_pod_that_comes_back_is_found() {
    let terminated = Plan { terminate: Some(Duration::from_secs(5)), ..Plan::calm(corpus::ENDLESS) };
    finds(terminated, Plant::RecreatesPods, "S1");
}

#[test]
fn a_finalizer_left_behind_is_found() {
    finds(Plan::calm("container"), Plant::LeavesFinalizer, "S11");
}

#[test]
fn a_service_that_writes_too_often_is_found() {
    finds(Plan::calm("steps"), Plant::WritesTwice, "S13");
}

#[test]
fn writes_without_a_change_are_found_at_the_end_and_while_a_workflow_waits() {
    finds(Plan::calm("container"), Plant::Restless, "L4");
    finds(Plan::calm(corpus::WAITING), Plant::Restless, "L4: 11 writes while a workflow only waited");
}

#[test]
fn a_node_that_waits_in_silence_is_found() {
    finds(Plan::calm("container"), Plant::IdleNode, "L2");
}

#[test]
fn a_report_that_only_a_check_replaces_is_found() {
    finds(Plan::calm("container"), Plant::LosesReports, "R1: argosy_scheduler_reminder_found_total");
    finds(Plan::calm("container"), Plant::LosesReports, "L1");
}

#[test]
fn a_pod_under_another_account_is_found() {
    let plan = Plan { grown: Some(Grown::default()), ..Plan::calm("account") };
    finds(plan, Plant::WrongAccount, "S12");
}

#[test]
fn the_bus_is_lost_under_every_kind_of_work() {
    for name in ["retry", "suspend", "nested"] {
        for at in [100, 1500, 3000] {
            let plan = Plan { replicas: 2, losses: vec![Duration::from_millis(at)], ..Plan::calm(name) };
            assert_eq!(broken(&plan), Vec::<String>::new(), "{name}, lost after {at} ms");
        }
    }
}

#[test]
fn an_acknowledgement_before_the_write_is_found() {
    let found = (0..40).find_map(|at| {
        let crash = Some((Role::Status, Crash { at, when: When::After }));
        let plan = Plan { crash, plant: Some(Plant::AckBeforeWrite), ..Plan::calm("container") };
        broken(&plan).into_iter().next()
    });
    assert!(found.is_some(), "the planted bug was not found");
}
