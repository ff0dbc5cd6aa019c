//! The nodes that are live.

use super::{Frame, FrameId};

/// The frames of the nodes that are live, by number and by the place of the node in the status: nodes are never taken from it
/// while the workflow runs. A number is given once, so that what is told of a node that has ended finds nothing; and a place
/// has a frame as long as that frame is there.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    list: Vec<Option<Slot>>,
    by_place: Vec<Option<FrameId>>,
}

#[derive(Debug)]
struct Slot {
    /// Of the node, in the status.
    place: Option<u32>,
    frame: Box<Frame>,
}

impl Frames {
    pub fn get(&self, id: FrameId) -> Option<&Frame> {
        Some(&self.list.get(id as usize)?.as_ref()?.frame)
    }

    pub fn get_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        Some(&mut self.list.get_mut(id as usize)?.as_mut()?.frame)
    }

    /// The frame of the node at that place in the status, if it is live.
    pub fn at(&self, place: usize) -> Option<FrameId> {
        self.by_place.get(place).copied().flatten()
    }

    /// The node at that place in the status is live from now on.
    pub fn begin(&mut self, place: Option<usize>, frame: Frame) -> FrameId {
        let id = FrameId::try_from(self.list.len()).expect("no machine holds that many frames");
        let place = place.and_then(|place| u32::try_from(place).ok());
        if let Some(place) = place {
            let place = place as usize;
            if self.by_place.len() <= place {
                self.by_place.resize(place + 1, None);
            }
            self.by_place[place] = Some(id);
        }
        self.list.push(Some(Slot { place, frame: Box::new(frame) }));
        id
    }

    /// The frame has nothing left to do. None when it is there no more.
    pub fn end(&mut self, id: FrameId) -> Option<Box<Frame>> {
        let Slot { place, frame } = self.list.get_mut(id as usize)?.take()?;
        if let Some(slot) = place.and_then(|place| self.by_place.get_mut(place as usize)) {
            *slot = None;
        }
        Some(frame)
    }

    /// All frames, in the order in which their nodes began.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.list.iter().flatten().map(|slot| &*slot.frame)
    }

    /// The workflow has ended. Numbers begin anew, as nothing is told of its nodes any more.
    pub fn clear(&mut self) {
        self.list.clear();
        self.by_place.clear();
    }
}
