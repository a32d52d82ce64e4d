import CMPI

/// One of MPI's basic datatypes.
public struct MPITypeCode: Sendable {
  let cValue: cmpi_type
}

/// A Swift type whose values MPI can send and reduce.
///
/// Conforming types are trivial: their bytes are their value.
public protocol MPIDatatype: BitwiseCopyable, Sendable {
  /// The matching type on the C side.
  static var mpiType: MPITypeCode { get }
  /// What a buffer holds before it is received into.
  static var zero: Self { get }
}

extension UInt8: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint8) }
}

extension Int32: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int32) }
}

extension UInt32: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint32) }
}

extension Int64: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int64) }
}

extension UInt64: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint64) }
}

extension Int: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int64) }
}

extension Float: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_float) }
}

extension Double: MPIDatatype {
  /// See ``MPIDatatype``.
  public static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_double) }
}

/// How the values of different ranks become one.
public enum ReductionOperator: Sendable {
  case sum, minimum, maximum

  var cValue: cmpi_op {
    switch self {
    case .sum: cmpi_sum
    case .minimum: cmpi_min
    case .maximum: cmpi_max
    }
  }
}
