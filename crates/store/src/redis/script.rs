//! Scripts that run in the store as one atomic step.

use ::redis::Cmd;

/// A Lua script. It is sent once and named by its digest afterwards.
pub struct Script {
    script: ::redis::Script,
    text: &'static str,
}

impl Script {
    /// From its text.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { script: ::redis::Script::new(text), text }
    }

    /// The command that runs the script by its digest.
    pub(super) fn by_digest(&self, keys: &[impl AsRef<[u8]>], arguments: &[i64]) -> Cmd {
        self.command("EVALSHA", self.script.get_hash(), keys, arguments)
    }

    /// The command that carries the whole script; the store remembers it.
    pub(super) fn whole(&self, keys: &[impl AsRef<[u8]>], arguments: &[i64]) -> Cmd {
        self.command("EVAL", self.text, keys, arguments)
    }

    fn command(&self, name: &str, script: &str, keys: &[impl AsRef<[u8]>], arguments: &[i64]) -> Cmd {
        let mut command = Cmd::with_capacity(3 + keys.len() + arguments.len(), 512);
        command.arg(name).arg(script).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        for argument in arguments {
            command.arg(*argument);
        }
        command
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Script({})", self.script.get_hash())
    }
}
