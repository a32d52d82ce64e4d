import ArgumentParser
import RunCore
import SystemPackage

/// The options that say where the results of a run go.
struct OutputChoice: ParsableArguments {
  @Option(name: .long, help: "The folder to write the results to. It is made if it does not exist.")
  var out: String

  @Flag(help: "Replace the results in the output folder, or the run that was begun there.")
  var overwrite = false

  @Flag(
    help:
      "Continue the run that was begun in the output folder, if there is one. The result is the same as that of one run."
  )
  var resume = false

  @Flag(help: "Keep the work folder .frog-mpi in the output folder after success.")
  var keepWork = false

  @Flag(help: "Print nothing but warnings and errors, and progress if --progress always asks for it.")
  var quiet = false

  var options: OutputOptions {
    OutputOptions(FilePath(out), overwrite: overwrite, resume: resume, keepWork: keepWork)
  }
}
