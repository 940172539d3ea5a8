//! Rules of a catalogue.
