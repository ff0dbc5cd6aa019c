//! What is said of an API server that does not answer for a while.

/// Whether it was said.
#[derive(Default)]
pub struct Silence {
    is_told: bool,
}

impl Silence {
    /// What is to be said now that the server answers or does not; each change once.
    pub fn told(&mut self, is_silent: bool) -> Option<&'static str> {
        if is_silent == self.is_told {
            return None;
        }
        self.is_told = is_silent;
        Some(match is_silent {
            true => "the API server does not answer; trying again for a minute",
            false => "the API server answers again",
        })
    }
}
