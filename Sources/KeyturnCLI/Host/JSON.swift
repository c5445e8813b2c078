import Foundation

/// A document for people: each value knows what it is.
enum JSON: Decodable, Equatable {
  case null
  case flag(Bool)
  case number(Int64)
  case fraction(Double)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let flag = try? value.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? value.decode(Int64.self) {
      self = .number(number)
    } else if let fraction = try? value.decode(Double.self) {
      self = .fraction(fraction)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSON].self) {
      self = .list(list)
    } else if let object = try? value.decode([String: JSON].self) {
      self = .object(object)
    } else {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: "a value of no known kind")
    }
  }

  static func read(_ path: String) throws(Complaint) -> JSON {
    try parse(Data(File.read(path)), from: path)
  }

  static func parse(_ data: Data, from path: String) throws(Complaint) -> JSON {
    do { return try JSONDecoder().decode(JSON.self, from: data) } catch let error as DecodingError {
      throw Complaint("\(path): not JSON as it is needed here: \(error.sentence)")
    } catch { throw Complaint("\(path): \(error)") }
  }

  subscript(_ name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members[name]
  }

  var text: String? {
    guard case .text(let text) = self else { return nil }
    return text
  }

  var whole: Int64? {
    guard case .number(let number) = self else { return nil }
    return number
  }

  var elements: [JSON]? {
    guard case .list(let values) = self else { return nil }
    return values
  }

  var members: [String: JSON]? {
    guard case .object(let members) = self else { return nil }
    return members
  }
}

/// What is wrong, and where: for whoever wrote it.
struct Complaint: Error, CustomStringConvertible {
  let description: String

  init(_ sentence: String) { description = sentence }
}

extension DecodingError {
  fileprivate var sentence: String {
    guard case .dataCorrupted(let context) = self else { return "\(self)" }
    guard let cause = context.underlyingError as NSError? else { return context.debugDescription }
    return cause.userInfo[NSDebugDescriptionErrorKey] as? String ?? context.debugDescription
  }
}
