import Foundation
import Spectra
import SpectralQuality
import Testing
import Weights

@testable import Comparison
@testable import Execution
@testable import FROGDist
@testable import RunCore

@Suite("Words of options")
struct OptionWordsTests {
  @Test("name every option that a document of mask records, and change with it")
  func mask() throws { try check(RecordTests.record.parameters) }

  @Test("name every option that a document of analyze records, and change with it")
  func analyze() throws { try check(AnalysisSummary.Parameters(.init(metrics: MetricChoice()), tensors)) }

  @Test("name every option that a document of compare records, and change with it")
  func compare() throws { try check(ComparisonSummary.Parameters(ComparisonChoice(), tensors)) }

  @Test("differ where values differ, also in what messages leave out")
  func exact() {
    func words(_ seed: UInt64, _ exclude: [String]) -> OptionWords {
      var words = OptionWords()
      words.add("--seed", seed)
      words.add("--exclude", exclude)
      return words
    }
    let long = String(repeating: "layers.*", count: 40)
    #expect(words(.max, []) != words(.max - 1, []))
    #expect(words(0, [long + "q"]) != words(0, [long + "k"]))
    #expect(words(0, ["a b"]) != words(0, ["a", "b"]))
    #expect(words(0, ["a' 'b"]) != words(0, ["a", "b"]))
    #expect(
      words(0, []).differences(now: words(1, ["*.bias"])) == ["--exclude was none, is '*.bias'", "--seed was 0, is 1"])
  }

  private var tensors: TensorParameters { TensorParameters(CatalogOptions(), threads: 1) }

  /// Checks every member of a document's `parameters`: its option has words, and another value has other words.
  private func check(_ parameters: some Codable & ShapingOptions) throws {
    let document = try members(of: parameters)
    let paths = leaves(of: document)
    #expect(Set(paths.map(option)) == Set(parameters.words.byName.keys))
    for path in paths {
      let other = try #require(another(parameters, at: path, in: document), "\(path)")
      let changed = parameters.words.byName.keys.filter { parameters.words[$0] != other[$0] }
      #expect(changed == [option(path)])
    }
  }

  private func members(of value: some Encodable) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(Document.encode(value))) as? [String: Any])
  }

  /// The name of the option that a member of a document records.
  private func option(_ path: [String]) -> String {
    // A budget may be given as the rank of a LoRA, which is recorded apart from shares.
    if path.last == "lora_rank" { return "--budget" }
    return "--" + (path.last ?? "").replacingOccurrences(of: "_", with: "-")
  }

  private func leaves(of object: [String: Any]) -> [[String]] {
    object.flatMap { key, value in
      (value as? [String: Any]).map { leaves(of: $0).map { [key] + $0 } } ?? [[key]]
    }
  }

  /// The words of a document in which one member has another value of its type.
  private func another<Parameters: Codable & ShapingOptions>(
    _ parameters: Parameters, at path: [String], in document: [String: Any]
  ) -> OptionWords? {
    // The last is what a document says of stored factors.
    let factors: [String: Any] = ["dtype": "bf16", "rank": 1, "sha256": "x"]
    for value in [true, false, 3, 4, "x", ["x"], factors] as [Any] {
      let changed = replacing(document, path[...], by: value)
      guard let text = try? JSONSerialization.data(withJSONObject: changed),
        let other = try? JSONDecoder().decode(Parameters.self, from: text),
        (try? Document.encode(other)) != (try? Document.encode(parameters))
      else { continue }
      return other.words
    }
    return nil
  }

  private func replacing(_ object: [String: Any], _ path: ArraySlice<String>, by value: Any) -> [String: Any] {
    guard let key = path.first else { return object }
    var object = object
    let inner = object[key] as? [String: Any]
    object[key] = path.count > 1 ? replacing(inner ?? [:], path.dropFirst(), by: value) : value
    return object
  }
}
