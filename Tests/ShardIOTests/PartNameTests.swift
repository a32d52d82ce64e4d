import Testing

@testable import ShardIO

@Suite("Names of numbered files")
struct PartNameTests {
  @Test(
    "stem, number and total",
    arguments: [
      ("model-00002-of-00005", "model", 2, 5), ("model-00163-of-000163", "model", 163, 163), ("1-of-1", "", 1, 1),
      ("unet_2_of_3.fp16", "unet.fp16", 2, 3), ("a.1.of.2-b", "a-b", 1, 2), ("x-1-of-2-y-3-of-4", "x-1-of-2-y", 3, 4),
      ("é-0-of-9", "é", 0, 9), ("of-1-of-2", "of", 1, 2),
    ] as [(String, String, Int, Int)])
  func taken(name: String, stem: String, number: Int, total: Int) throws {
    let part = try #require(PartName(name + ".safetensors"))
    #expect(part.stem == stem)
    #expect((part.number, part.total) == (number, total))
    #expect(part.name(of: number) == name + ".safetensors")
  }

  @Test("the name of another file is spelled as this one")
  func siblings() throws {
    let part = try #require(PartName("a_0009_of_12345.fp16.safetensors"))
    #expect(part.name(of: 10) == "a_0010_of_12345.fp16.safetensors")
    #expect(part.name(of: 12345) == "a_12345_of_12345.fp16.safetensors")
    #expect(try #require(PartName("a-10-of-12.safetensors")).name(of: 9) == "a-9-of-12.safetensors")
  }

  @Test(
    "other names",
    arguments: [
      "model", "", "-of-", "a-1-of-", "a--of-2", "a-1of2", "a-x1-of-2x", "ax1-of-2", "a-3-of-2", "a-0-of-0",
      "a-1-of-2b",
      "a-1-of-99999999999999999999", "a-99999999999999999999-of-2", "a-1-of-9223372036854775807", "a-١-of-٢",
    ])
  func others(name: String) {
    #expect(PartName(name + ".safetensors") == nil)
    #expect(PartName("a-1-of-2.bin") == nil)
  }
}

@Suite("Names of indexes")
struct IndexNameTests {
  @Test(
    "the stem that shards share",
    arguments: [
      ("model.safetensors.index.json", "model"), ("model.safetensors.index.fp16.json", "model.fp16"),
      ("a.b.safetensors.index.json", "a.b"), (".safetensors.index.json", ""), ("model.index.json", nil),
      ("model.safetensors.index.a.b.json", nil), ("model.safetensors.index", nil), ("model.safetensors", nil),
    ] as [(String, String?)])
  func stems(name: String, stem: String?) {
    #expect(ShardIndex.stem(of: name) == stem)
  }
}

@Suite("Families of files")
struct ShardFamilyTests {
  @Test("files with one stem and total are a family, in order of their numbers")
  func grouping() {
    let names = ["a-1-of-2", "a-10-of-12", "a-2-of-2", "a-9-of-12", "a", "a-3-of-2"].map { $0 + ".safetensors" }
    let families = ShardFamily.families(of: names)
    #expect(
      families.map { $0.files.map { $0.dropLast(12) } } == [
        ["a"], ["a-1-of-2", "a-2-of-2"], ["a-9-of-12", "a-10-of-12"], ["a-3-of-2"],
      ])
    #expect(families.map(\.isComplete) == [true, true, false, true])
  }
}
