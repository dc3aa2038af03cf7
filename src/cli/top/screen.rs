//! The terminal as ours: its other screen, keys one by one, and everything as it
//! was when we go, whyever that is.

use super::frame::draw;
use super::state::{Key, State};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the thread that reads keys waits before it looks whether it is still
/// wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keys that may wait to be taken.
const KEYS_QUEUED: usize = 16;

/// What comes from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key that means something.
    Key(Key),
    /// It has another size.
    Resized,
}

/// The screen; dropping it gives the terminal back.
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal. A panic gives it back too, before its message.
    ///
    /// # Errors
    /// It is no terminal that we could take.
    pub fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, state: &State, now: u64) -> io::Result<()> {
        crate::failpoint::reached("top.draw");
        self.0.draw(|frame| draw(state, now, frame.buffer_mut()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to give back.
        let _ = self.0.show_cursor();
        ratatui::restore();
    }
}

/// Lets the terminal edit and echo lines again, without writing to it.
pub fn abandon() {
    // We go whether or not this can be done.
    let _ = crossterm::terminal::disable_raw_mode();
}

/// What comes from the terminal, until it is gone.
pub fn input() -> mpsc::Receiver<Input> {
    let (to, inputs) = mpsc::channel(KEYS_QUEUED);
    // Reading a terminal blocks. It ends soon after nobody wants its keys.
    std::thread::spawn(move || {
        while !to.is_closed() {
            let input = match event::poll(LOOK_EVERY) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(input) = input else { return };
            if let Some(input) = meaning(&input)
                && to.blocking_send(input).is_err()
            {
                return;
            }
        }
    });
    inputs
}

fn meaning(event: &Event) -> Option<Input> {
    match event {
        Event::Resize(..) => Some(Input::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => self::key(*key).map(Input::Key),
        _ => None,
    }
}

fn key(key: KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Key::Quit);
    }
    Some(match key.code {
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Esc => Key::Escape,
        KeyCode::Char('p') => Key::Pause,
        KeyCode::Char('?') => Key::Help,
        KeyCode::Right => Key::Role(1),
        KeyCode::Left => Key::Role(-1),
        KeyCode::Down => Key::Measure(1),
        KeyCode::Up => Key::Measure(-1),
        KeyCode::Char(digit) => Key::RoleNumber(digit.to_digit(10)? as usize),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = |code| key(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |c| key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        assert_eq!(control('c'), Some(Key::Quit));
        assert_eq!(control('q'), None);
        for (code, meant) in [
            (KeyCode::Char('q'), Some(Key::Quit)),
            (KeyCode::Esc, Some(Key::Escape)),
            (KeyCode::Char('p'), Some(Key::Pause)),
            (KeyCode::Char('?'), Some(Key::Help)),
            (KeyCode::Right, Some(Key::Role(1))),
            (KeyCode::Up, Some(Key::Measure(-1))),
            (KeyCode::Char('3'), Some(Key::RoleNumber(3))),
            (KeyCode::Char('x'), None),
            (KeyCode::Home, None),
        ] {
            assert_eq!(plain(code), meant, "{code:?}");
        }
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(meaning(&Event::Key(released)), None);
    }
}
