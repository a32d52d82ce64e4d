import CMPI

/// A basic datatype of MPI.
package struct MPITypeCode: Sendable {
  let cValue: cmpi_type
}

/// A Swift type whose values MPI can send and reduce.
package protocol MPIDatatype: BitwiseCopyable, Sendable {
  /// The datatype of MPI that has the same bytes.
  static var mpiType: MPITypeCode { get }
  /// The value that fills a buffer before it is received into.
  static var zero: Self { get }
}

extension UInt8: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint8) }
}

extension Int32: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int32) }
}

extension UInt32: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint32) }
}

extension Int64: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int64) }
}

extension UInt64: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_uint64) }
}

extension Int: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_int64) }
}

extension Float: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_float) }
}

extension Double: MPIDatatype {
  /// See ``MPIDatatype``.
  package static var mpiType: MPITypeCode { MPITypeCode(cValue: cmpi_double) }
}

/// An operation that combines the values of different ranks into one.
package enum ReductionOperator: Sendable {
  case sum, minimum, maximum

  var cValue: cmpi_op {
    switch self {
    case .sum: cmpi_sum
    case .minimum: cmpi_min
    case .maximum: cmpi_max
    }
  }
}
