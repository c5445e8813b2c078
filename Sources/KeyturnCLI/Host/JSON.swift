import Foundation

/// A document for people, as far as settings need it: each value knows what it is.
enum JSON: Decodable, Equatable {
  case null
  case flag(Bool)
  case number(Int64)
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
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSON].self) {
      self = .list(list)
    } else if let object = try? value.decode([String: JSON].self) {
      self = .object(object)
    } else {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: "a number that is not whole")
    }
  }

  static func read(_ path: String) throws(Complaint) -> JSON {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Complaint("\(path): \(reason(path))")
    }
    do { return try JSONDecoder().decode(JSON.self, from: data) } catch let error as DecodingError {
      throw Complaint("\(path): not JSON as it is needed here: \(error.sentence)")
    } catch { throw Complaint("\(path): \(error)") }
  }

  private static func reason(_ path: String) -> String {
    let file = fopen(path, "r")
    defer { if let file { fclose(file) } }
    return file == nil ? String(cString: strerror(errno)) : "not a file that can be read"
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
