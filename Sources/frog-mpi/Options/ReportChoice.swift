import ArgumentParser

/// The options that say what a run writes on standard error.
struct ReportChoice: ParsableArguments {
  @Option(
    help: """
      When to show how far the run is: auto unless --quiet is given, always also with --quiet, never. It is a block on a terminal, also on \
      that of mpirun, and elsewhere a line for each stage and every minute.
      """)
  var progress = ProgressChoice.auto

  @Option(
    help: "How messages and progress are written on standard error: text, or json for one JSON object a line.")
  var logFormat = LogFormat.text
}

/// When progress is shown.
enum ProgressChoice: String, ExpressibleByArgument, CaseIterable {
  case auto, always, never
}

/// How messages are written.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}
