//! A terminal for programs under test: the kernel's pseudo-terminal, and the
//! screen that a person would see.

use crate::place::DEADLINE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;
use vt100::{Parser, Screen};

/// What the program has written, and the screen that it makes.
struct Shown {
    bytes: Vec<u8>,
    parser: Parser,
}

pub struct Terminal {
    ours: File,
    /// Held open, so that the terminal outlives the program.
    theirs: OwnedFd,
    pid: u32,
    status: Receiver<ExitStatus>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

fn size((columns, rows): (u16, u16)) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
    pub fn start(command: &Command, of: (u16, u16)) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, size(of)).unwrap();
        let mut child = in_session(command, &theirs).spawn().unwrap();
        let pid = child.id();
        let (tell, status) = channel();
        std::thread::spawn(move || {
            let ended = child.wait().unwrap();
            // The test may have ended; then nobody wants to know.
            let _ = tell.send(ended);
        });
        let parser = Parser::new(cells(of.1), cells(of.0), 0);
        let bytes = Vec::new();
        let shown = Arc::new((Mutex::new(Shown { bytes, parser }), Condvar::new()));
        let ours = File::from(ours);
        read_on(ours.try_clone().unwrap(), Arc::clone(&shown));
        Self {
            ours,
            theirs,
            pid,
            status,
            shown,
        }
    }

    /// Waits until the screen is so; its text.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&Screen) -> bool) -> String {
        self.wait(what, |shown| holds(shown.parser.screen()))
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&Shown) -> bool) -> String {
        let mut shown = self.shown.0.lock().unwrap();
        let deadline = Instant::now() + DEADLINE;
        while !holds(&shown) {
            let left = deadline.saturating_duration_since(Instant::now());
            let text = shown.parser.screen().contents();
            assert!(!left.is_zero(), "waited in vain until {what}:\n{text}");
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
        shown.parser.screen().contents()
    }

    /// Waits until the screen holds a text.
    #[track_caller]
    pub fn until_shows(&self, text: &str) -> String {
        let shows = |screen: &Screen| screen.contents().contains(text);
        self.until(&format!("it shows {text:?}"), shows)
    }

    /// All that was written so far.
    pub fn written(&self) -> String {
        let shown = self.shown.0.lock().unwrap();
        String::from_utf8_lossy(&shown.bytes).into_owned()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes it another size, which the kernel tells the program.
    pub fn resize(&self, to: (u16, u16)) {
        let mut shown = self.shown.0.lock().unwrap();
        let screen = shown.parser.screen_mut();
        screen.set_size(cells(to.1), cells(to.0));
        tcsetwinsize(&self.theirs, size(to)).unwrap();
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.pid.to_string());
        assert!(kill.status().unwrap().success());
    }

    /// Waits for the program's end, and until all that it wrote is read.
    #[track_caller]
    pub fn ended(&self) -> ExitStatus {
        let ended = self.status.recv_timeout(DEADLINE);
        let ended = ended.unwrap_or_else(|_| panic!("it did not end:\n{}", self.written()));
        // Names the window, which no screen shows; comes after all else.
        const LAST: &[u8] = b"\x1b]2;ended\x07";
        let mut terminal = File::from(self.theirs.try_clone().unwrap());
        terminal.write_all(LAST).unwrap();
        self.wait("all is read", |shown| shown.bytes.ends_with(LAST));
        ended
    }

    /// Sends a signal once the program waits to write, because nothing is taken
    /// any more, as over a connection that hangs; its end.
    #[track_caller]
    pub fn signal_unread(&self, name: &str) -> ExitStatus {
        // Who reads waits for this.
        let _unread = self.shown.0.lock().unwrap();
        let deadline = Instant::now() + DEADLINE;
        let mut sizes = [(200, 100), (201, 101)].into_iter().cycle();
        // Drawn anew and anew, it fills what the kernel holds.
        while self.takes() {
            assert!(Instant::now() < deadline, "it never has to wait");
            let of = sizes.next().unwrap();
            tcsetwinsize(&self.theirs, size(of)).unwrap();
        }
        self.signal(name);
        let ended = self.status.recv_timeout(DEADLINE);
        ended.unwrap_or_else(|_| panic!("it did not end"))
    }

    /// Whether more can be written, now or in some moments.
    fn takes(&self) -> bool {
        let mut polled = [PollFd::new(&self.theirs, PollFlags::OUT)];
        let moments = Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        };
        poll(&mut polled, Some(&moments)).unwrap() > 0
    }

    /// That lines are edited and echoed.
    #[track_caller]
    pub fn assert_edits_lines(&self) {
        let modes = tcgetattr(&self.theirs).unwrap().local_modes;
        let usual = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(modes.contains(usual), "{modes:?}");
    }

    /// That after its end a shell finds the terminal as it was: lines are edited
    /// and echoed, the usual screen is shown, and so is the cursor.
    #[track_caller]
    pub fn assert_restored(&self) {
        self.assert_edits_lines();
        let usual = |screen: &Screen| !screen.alternate_screen() && !screen.hide_cursor();
        assert!(usual(self.shown.0.lock().unwrap().parser.screen()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended before; then its number is still ours, or nobody's.
        if self.status.try_recv().is_err() {
            let _ = Command::new("kill")
                .args(["-KILL", &self.pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The program as a shell would start it: the terminal is its own, so that it
/// hears of a new size and of Ctrl-C.
fn in_session(command: &Command, terminal: &OwnedFd) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(command.get_program());
    session.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session.env("TERM", "xterm-256color");
    let end = || Stdio::from(terminal.try_clone().unwrap());
    session.stdin(end()).stdout(end()).stderr(end());
    session
}

fn read_on(mut from: File, to: Arc<(Mutex<Shown>, Condvar)>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut shown = to.0.lock().unwrap();
            shown.bytes.extend_from_slice(&buffer[..count]);
            shown.parser.process(&buffer[..count]);
            drop(shown);
            to.1.notify_all();
        }
    });
}
