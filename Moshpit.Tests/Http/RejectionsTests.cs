using System.Buffers;
using System.Reflection;
using Moshpit.Server.Api;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class RejectionsTests
{
    private static readonly RequestLimits Limits = new(100, 200, 30, 400);

    private static readonly Rejection[] All =
    [
        .. new[] { typeof(Rejections), typeof(ApiRejections) }.SelectMany(type => type.GetFields(BindingFlags.Public | BindingFlags.Static))
            .Select(field => (Rejection)field.GetValue(null)!),
        Limits.TargetTooLong, Limits.HeaderSectionTooLarge, Limits.TooManyFields, Limits.BodyTooLarge,
    ];

    [Test]
    public void Each_has_a_name_of_its_own() => Assert.That(All.Select(rejection => rejection.Name), Is.Unique.And.Not.Empty);

    [TestCaseSource(nameof(All))]
    public void Each_has_a_kebab_case_name_a_full_sentence_and_a_status_line(Rejection rejection)
    {
        Assert.Multiple(() =>
        {
            Assert.That(rejection.Name, Does.Match("^[a-z0-9]+(-[a-z0-9]+)*$"));
            Assert.That(rejection.Sentence, Does.Match("^[A-Z][^\r\n]*\\.$"));
            Assert.That(rejection.Status, Is.InRange(400, 599));
            Assert.DoesNotThrow(
                () => TestResponses.Writer.WriteRejection(new ArrayBufferWriter<byte>(), new HttpRequest(), rejection, close: false));
        });
    }

    [Test]
    public void The_limits_that_sentences_name_are_the_limits_that_hold()
    {
        Assert.That(Limits.TargetTooLong.Sentence, Does.Contain(" 100 bytes"));
        Assert.That(Limits.HeaderSectionTooLarge.Sentence, Does.Contain(" 200 bytes"));
        Assert.That(Limits.TooManyFields.Sentence, Does.Contain(" 30."));
        Assert.That(Limits.BodyTooLarge.Sentence, Does.Contain(" 400 bytes"));
        Assert.That(Rejections.ChunkOverheadTooLarge.Sentence, Does.Contain($" {ChunkedDecoder.MaxOverhead / 1024} KiB"));
    }

    [Test]
    public void A_sentence_may_be_replaced_and_nothing_else_changes()
    {
        Rejection changed = ApiRejections.MalformedJson.With("At byte 5 a comma is missing.");
        Assert.That((changed.Status, changed.Name, changed.Close, changed.Sentence),
            Is.EqualTo((400, "malformed-json", ApiRejections.MalformedJson.Close, "At byte 5 a comma is missing.")));
    }
}
