/// Feeds one parser with inputs that libFuzzer makes up, guided by the branches they reach.
///
///     fuzz header|index [libFuzzer's arguments]
///
/// A trap, a broken invariant, a use of memory that AddressSanitizer forbids or an input that takes
/// longer than `-timeout` stops it, and the input is kept.
@main
enum Fuzz {
  static func main() {
    guard let target = CommandLine.arguments.dropFirst().first else { stop("usage: fuzz header|index …") }
    // To libFuzzer the target's name is the program's.
    var count = CommandLine.argc - 1
    var arguments: ArgumentVector = CommandLine.unsafeArgv + 1
    let status =
      switch target {
      case "header": runDriver(&count, &arguments) { HeaderTarget.check(Fuzz.copy($0, $1)) }
      case "index": runDriver(&count, &arguments) { IndexTarget.check(Fuzz.copy($0, $1)) }
      default: stop("usage: fuzz header|index …")
      }
    guard status == 0 else { stop("libFuzzer ended with \(status)") }
  }

  private typealias ArgumentVector = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

  /// libFuzzer's loop as a function, so that this program keeps its `main`; it leaves by `exit` itself.
  ///
  /// C function: `LLVMFuzzerRunDriver` (compiler-rt, `FuzzerInterface.h`).
  @_silgen_name("LLVMFuzzerRunDriver")
  private static func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<ArgumentVector>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
  ) -> CInt

  private static func copy(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    [UInt8](UnsafeBufferPointer(start: start, count: count))
  }
}

/// Ends the run as libFuzzer sees a finding: the input is kept.
func stop(_ problem: String) -> Never {
  fatalError(problem)
}

/// Ends the run where what must hold for any input does not.
func require(_ holds: Bool, _ claim: @autoclosure () -> String) {
  if !holds { stop("broken invariant: \(claim())") }
}
