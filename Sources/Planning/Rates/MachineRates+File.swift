import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The document `rates.json` with the rates that `frog-mpi plan --calibrate` has measured, one entry for each number of threads.
struct RatesFile: Codable {
  static let currentFormatVersion = 1

  var formatVersion = Self.currentFormatVersion
  var rates: [MachineRates]

  enum CodingKeys: String, CodingKey {
    case rates
    case formatVersion = "format_version"
  }
}

extension MachineRates {
  /// The file in which calibration stores rates; nil if there is no home directory.
  ///
  /// It is `$XDG_CACHE_HOME/frog-mpi/rates.json`, or `~/.cache/frog-mpi/rates.json` without that variable.
  package static var file: FilePath? {
    func folder(_ name: String) -> FilePath? {
      ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : FilePath($0) }
    }
    return (folder("XDG_CACHE_HOME") ?? folder("HOME")?.appending(".cache"))?.appending("frog-mpi/rates.json")
  }

  /// Loads the rates of a rank with `threads` threads.
  ///
  /// They are those measured with as many threads, or else those of the nearest number below, or else of the smallest above, scaled to
  /// `threads`. If nothing is stored, the built-in ones are scaled.
  ///
  /// - Throws: ``RunFailure`` if the file is there but cannot be used.
  package static func load(threads: Int, from path: FilePath? = file) throws -> MachineRates {
    let stored = try path.map { try read($0) } ?? []
    let below = stored.last { $0.threads <= threads } ?? stored.first ?? standard
    return below.with(threads: threads)
  }

  /// Adds these rates to the file, in place of those with as many threads.
  ///
  /// - Throws: ``RunFailure`` if the file cannot be written; the old file is untouched then.
  package func store(to path: FilePath) throws {
    // A file that cannot be read is replaced, which is how calibration repairs it.
    var all = (try? Self.read(path)) ?? []
    all.removeAll { $0.threads == threads }
    all.append(self)
    all.sort { $0.threads < $1.threads }
    do {
      try Folder.create(path.removingLastComponent())
      try DurableFile.writeWhole(Document.encode(RatesFile(rates: all)), to: path)
    } catch {
      throw RunFailure(error)
    }
  }

  /// Reads all rates in the file, by ascending number of threads; there are none if there is no such file.
  private static func read(_ path: FilePath) throws -> [MachineRates] {
    func refuse(_ problem: String) -> RunFailure {
      RunFailure(.data, "\(shown(path)): \(problem); remove it, or make a new one with `frog-mpi plan --calibrate`")
    }
    let source: any ByteSource
    do { source = try SourceKind.pread.open(path) } catch {
      if case .cannotOpen(_, .noSuchFileOrDirectory) = error { return [] }
      throw RunFailure(error)
    }
    guard source.size <= 1 << 20 else { throw refuse("\(source.size) bytes are too many for stored rates") }
    var scratch = ScratchBytes()
    let text = try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
    guard let file = try? JSONDecoder().decode(RatesFile.self, from: Data(text)) else {
      throw refuse("these are not the stored rates of this version")
    }
    guard file.formatVersion == RatesFile.currentFormatVersion, file.rates.allSatisfy(\.isSensible) else {
      throw refuse("it holds rates that no machine has")
    }
    return file.rates.sorted { $0.threads < $1.threads }
  }

  /// The rates that all ranks plan with: those that rank 0 loads, or the built-in ones if its file cannot be used.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter warn: is called on rank 0 if the file cannot be used.
  static func agreed(threads: Int, world: Communicator, warn: (String) -> Void) throws -> MachineRates {
    let bytes = try world.fromRoot {
      do {
        return Array(try JSONEncoder().encode(load(threads: threads)))
      } catch {
        warn("\(RunFailure(error).message); planning with built-in rates")
        return Array(try JSONEncoder().encode(standard.with(threads: threads)))
      }
    }
    return try JSONDecoder().decode(MachineRates.self, from: Data(bytes))
  }
}
