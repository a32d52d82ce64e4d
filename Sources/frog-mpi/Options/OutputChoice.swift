import RunCore
import ArgumentParser
import FROGDist
import SystemPackage

/// The options that say where the results of a run go.
struct OutputChoice: ParsableArguments {
  @Option(name: .long, help: "The folder to write the results to; made if it does not exist.")
  var out: String

  @Flag(help: "Replace the results that are in the output folder, or the run that was begun there.")
  var overwrite = false

  @Flag(help: "Go on with the run that was begun in the output folder, if there is one; the result is the same.")
  var resume = false

  @Flag(help: "Leave the work folder .frog-mpi in the output folder after success.")
  var keepWork = false

  @Flag(help: "Say nothing but warnings and errors.")
  var quiet = false

  var options: OutputOptions {
    OutputOptions(FilePath(out), overwrite: overwrite, resume: resume, keepWork: keepWork)
  }
}
