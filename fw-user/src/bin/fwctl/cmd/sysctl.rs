#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
impl Args {
    pub(crate) fn run(self, _: &crate::args::Globals) -> anyhow::Result<std::process::ExitCode> {
        anyhow::bail!("not part of this build")
    }
}
