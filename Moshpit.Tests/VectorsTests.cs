using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>The vectors are copies. A developer's checkout may stand beside the folder that they come from.</summary>
public sealed class VectorsTests
{
    [Test]
    public void The_copies_are_the_same_bytes_as_the_vectors_beside_the_checkout()
    {
        string shared = Path.GetFullPath(Path.Combine(Repository.Root, "..", "shared", "vectors"));
        if (!Directory.Exists(shared))
            Assert.Ignore("There is no ../shared/vectors beside this checkout to compare the copies with.");
        string[] names = Names(shared);
        Assert.That(names, Is.Not.Empty.And.EqualTo(Names(Vectors.Folder)));
        using (Assert.EnterMultipleScope())
        {
            foreach (string name in names)
            {
                byte[] copy = File.ReadAllBytes(Path.Combine(Vectors.Folder, name));
                Assert.That(copy.AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(shared, name))), name);
            }
        }
    }

    private static string[] Names(string folder) =>
        [.. Directory.GetFiles(folder, "*.json").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
