//! `quaymeter completions`: what a shell needs to complete our commands.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Prints a completion script.
///
/// Load it once, for example in ~/.bashrc: source <(quaymeter completions bash)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that is to complete
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Nobody reads it.
#[expect(clippy::needless_pass_by_value, reason = "as every command")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = super::Cli::command();
    generate(args.shell, &mut command, "quaymeter", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
