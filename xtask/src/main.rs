//! Chores.
use xtask::ebpf;

fn main() -> anyhow::Result<()> {
    let tools = ebpf::toolchain::find()?;
    println!("{tools:?}");
    println!("{:?}", ebpf::build(&tools, &ebpf::Options::default())?);
    Ok(())
}
