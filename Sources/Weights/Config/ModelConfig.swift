import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage

/// The part of a model's `config.json` that helps to decide what a matrix is: sizes, fused projections, tied embeddings, quantization.
///
/// Nothing in the file is trusted: a value of the wrong type counts as missing, and sizes are checked against the tensors they describe.
package struct ModelConfig: Sendable, Equatable {
  /// The value of `model_type` in transformers' files, or of `_class_name` in those of diffusers.
  package var modelType: String?
  /// The first of `architectures`: the class that wrote the checkpoint.
  package var architecture: String?
  var hiddenSize: Int?
  var heads: Int?
  var keyValueHeads: Int?
  var headSize: Int?
  /// Whether all query heads of a Falcon model share one key and one value head.
  var isMultiQuery: Bool?
  /// Whether the query heads of a Falcon model are grouped with the key and value head they share.
  var hasGroupedHeads: Bool?
  /// Whether the output head is the same matrix as the token embedding.
  var tiesEmbeddings: Bool?
  /// The method by which weights were quantized.
  var quantization: String?
  /// The rows and columns of a block of weights that shares an FP8 scale.
  var scaleBlock: [Int]?
  /// What all numbers of the file tell about sizes.
  var sizes = ModelSizes()

  /// Makes the configuration of a model about which nothing is known.
  package init() {}

  static let fileName = "config.json"
  /// The largest file that is read, in bytes. Real ones have a few kilobytes.
  private static let largestFile = 16 << 20

  /// The folder in which the files beside a checkpoint lie: the checkpoint itself, or that of its only file.
  static func folder(of checkpoint: FilePath) -> FilePath {
    (try? checkpoint.stat().type) == .directory ? checkpoint : checkpoint.removingLastComponent()
  }

  /// Reads the file in the folder of a checkpoint.
  ///
  /// - Returns: what the file says, empty if there is none; and a warning if there is a file that cannot be used.
  /// - Throws: ``RunFailure`` if storage failed. Going on without the file would choose other matrices.
  static func read(beside checkpoint: FilePath) throws(RunFailure) -> (config: ModelConfig, warning: String?) {
    let folder = folder(of: checkpoint)
    let file = folder.appending(fileName)
    var text = Data()
    do {
      let source = try SourceKind.pread.open(file)
      guard source.size <= largestFile else { return (ModelConfig(), "\(shown(file)) is ignored: it is too large") }
      var scratch = ScratchBytes()
      text = try source.withBytes(in: 0..<source.size, scratch: &scratch) { Data($0) }
      let config = try JSONDecoder().decode(ModelConfig.self, from: text)
      let isMarked = text.starts(with: [0xef, 0xbb, 0xbf])
      return (
        config, isMarked ? "\(shown(file)) has a UTF-8 byte order mark in front, which other programs refuse" : nil
      )
    } catch SourceError.cannotOpen(_, .noSuchFileOrDirectory) {
      return (ModelConfig(), nil)
    } catch let error as SourceError where error.kind == .noInput {
      return (ModelConfig(), "\(shown(file)) is ignored: \(error)")
    } catch let error as SourceError {
      throw RunFailure(error)
    } catch {
      let problem = ForeignFormat(inPlaceOfJSON: text)?.description ?? "it is not a JSON object"
      return (ModelConfig(), "\(shown(file)) is ignored: \(problem)")
    }
  }
}

extension ModelConfig: Decodable {
  private enum CodingKeys: String, CodingKey {
    case modelType = "model_type"
    case className = "_class_name"
    case architectures
    case hiddenSize = "hidden_size"
    case heads = "num_attention_heads"
    case keyValueHeads = "num_key_value_heads"
    case falconKeyValueHeads = "num_kv_heads"
    case headSize = "head_dim"
    case isMultiQuery = "multi_query"
    case hasGroupedHeads = "new_decoder_architecture"
    case tiesEmbeddings = "tie_word_embeddings"
    case quantization = "quantization_config"
    case compression = "compression_config"
    case text = "text_config"
  }

  private struct Quantization: Decodable {
    let method: String?
    let blockSize: [Int]?

    enum CodingKeys: String, CodingKey {
      case method = "quant_method"
      case blockSize = "weight_block_size"
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      method = try? values.decodeIfPresent(String.self, forKey: .method)
      blockSize = try? values.decodeIfPresent([Int].self, forKey: .blockSize)
    }
  }

  /// Reads the keys that are known here. In a composite model, `text_config` fills in most of what the outer level leaves open.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, _ type: Value.Type = Value.self) -> Value? {
      try? values.decodeIfPresent(Value.self, forKey: key)
    }
    let text: ModelConfig? = value(.text)
    modelType = value(.modelType) ?? value(.className)
    architecture = value(.architectures, [String].self)?.first
    hiddenSize = value(.hiddenSize) ?? text?.hiddenSize
    heads = value(.heads) ?? text?.heads
    keyValueHeads = value(.keyValueHeads) ?? value(.falconKeyValueHeads) ?? text?.keyValueHeads
    headSize = value(.headSize) ?? text?.headSize
    isMultiQuery = value(.isMultiQuery)
    hasGroupedHeads = value(.hasGroupedHeads)
    tiesEmbeddings = value(.tiesEmbeddings) ?? text?.tiesEmbeddings
    sizes = (try? ModelSizes(from: decoder)) ?? ModelSizes()
    let quantized = value(.quantization, Quantization.self) ?? value(.compression, Quantization.self)
    quantization = quantized?.method ?? text?.quantization
    scaleBlock = quantized?.blockSize ?? text?.scaleBlock
  }
}
