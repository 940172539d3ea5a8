//! The engines, each given the same world in the form that suits it best.

pub mod casbin;
pub mod cedar;
pub mod charter;
pub mod rego;

/// One engine with its questions prebuilt: asks by number.
pub trait Engine {
    /// The engine and the way it is used.
    fn name(&self) -> &'static str;
    /// Whether the question is allowed.
    fn ask(&mut self, question: usize) -> bool;
    /// How many questions one timed round asks: the slower the engine, the fewer.
    fn round(&self) -> usize;
}
