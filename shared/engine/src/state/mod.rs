//! The owners of a workflow's state. Each keeps one part of it, with the rules that this part obeys, behind methods; none
//! knows of the workflow as a whole, or of what is decided by it.

mod agenda;
mod behaviors;
mod book;
mod budget;
mod bugs;
mod call;
mod children;
mod clock;
mod dag;
mod dag_steps;
mod frame;
mod frames;
mod globals;
mod held;
mod kind;
pub(crate) mod library;
mod life;
pub(crate) mod locks;
pub(crate) mod memo;
mod plan;
mod steps;
mod strays;
mod texts;
mod timers;

pub(crate) use agenda::{Agenda, Work};
pub use behaviors::Behavior;
pub(crate) use book::{
    Book, NewNode, enter,
    progress::{completed, parse as parse_progress},
    set, set_text,
};
pub(crate) use budget::{Budget, Exceeded};
pub use bugs::Bug;
pub(crate) use bugs::{Bugs, bug};
pub(crate) use call::{Attempt, Call, FrameId, Parent, TemplateScope};
pub(crate) use children::{Child, Children};
pub(crate) use clock::Clock;
pub(crate) use dag::{CountedOff, Dag, Settled, Task};
pub(crate) use frame::{Body, Frame, Retry};
pub(crate) use frames::Frames;
pub(crate) use globals::Globals;
pub(crate) use held::Held;
pub(crate) use kind::{Kind, kind_of};
pub(crate) use library::Library;
pub(crate) use life::{Life, Stage};
pub(crate) use locks::Locks;
pub(crate) use memo::Memo;
pub(crate) use plan::Plan;
pub(crate) use steps::Steps;
pub(crate) use strays::{Stray, Strays};
pub(crate) use texts::Texts;
pub(crate) use timers::{Fired, Timer, Timers};
